output "issuer" {
  description = "The broker's public URL: callers put it into their JWT as `aud`."
  value       = local.issuer
}

output "service_uri" {
  description = "The URL that Cloud Run gave the service."
  value       = google_cloud_run_v2_service.broker.uri
}

output "address" {
  description = "The load balancer's IP address, for the A record of the domain; null without one."
  value       = one([for each in google_compute_global_address.this : each.address])
}

output "service_account" {
  description = "The account that the broker runs as."
  value       = google_service_account.broker.email
}

output "scheduler_service_account" {
  description = "The account that starts maintenance, for the claim `email` of a rule in `admins`."
  value       = google_service_account.scheduler.email
}

output "scheduler_subject" {
  description = "The unique id of that account, for the `subject` of the rule."
  value       = google_service_account.scheduler.unique_id
}

output "store" {
  description = "The store, as `DOWNSCOPE_STORE` and `downscope store` name it."
  value       = local.settings["DOWNSCOPE_STORE"]
}

output "key_ring" {
  description = "The key ring, as `DOWNSCOPE_KEY_RING` names it."
  value       = local.settings["DOWNSCOPE_KEY_RING"]
}
