locals {
  balanced = var.domain == null ? toset([]) : toset([var.domain])
}

resource "google_compute_global_address" "this" {
  for_each = local.balanced

  project = var.project_id
  name    = var.name

  depends_on = [google_project_service.this]
}

resource "google_compute_managed_ssl_certificate" "this" {
  for_each = local.balanced

  project = var.project_id
  name    = var.name

  managed {
    domains = [each.key]
  }
}

resource "google_compute_ssl_policy" "this" {
  for_each = local.balanced

  project         = var.project_id
  name            = var.name
  profile         = "RESTRICTED"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_region_network_endpoint_group" "this" {
  for_each = local.balanced

  project               = var.project_id
  name                  = var.name
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = google_cloud_run_v2_service.broker.name
  }
}

resource "google_compute_security_policy" "this" {
  for_each = local.balanced

  project = var.project_id
  name    = var.name

  rule {
    action      = "deny(403)"
    priority    = 900
    description = "Log4j and the like"

    match {
      expr {
        expression = "evaluatePreconfiguredWaf('cve-canary')"
      }
    }
  }

  rule {
    action      = "throttle"
    priority    = 1000
    description = "Requests of one address"

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }

    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"

      rate_limit_threshold {
        count        = var.requests_per_minute_per_address
        interval_sec = 60
      }
    }
  }

  rule {
    action      = "allow"
    priority    = 2147483647
    description = "The rest"

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}

resource "google_compute_backend_service" "this" {
  for_each = local.balanced

  project               = var.project_id
  name                  = var.name
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  security_policy       = google_compute_security_policy.this[each.key].id

  backend {
    group = google_compute_region_network_endpoint_group.this[each.key].id
  }

  log_config {
    enable      = true
    sample_rate = 1
  }
}

resource "google_compute_url_map" "this" {
  for_each = local.balanced

  project         = var.project_id
  name            = var.name
  default_service = google_compute_backend_service.this[each.key].id
}

resource "google_compute_target_https_proxy" "this" {
  for_each = local.balanced

  project          = var.project_id
  name             = var.name
  url_map          = google_compute_url_map.this[each.key].id
  ssl_certificates = [google_compute_managed_ssl_certificate.this[each.key].id]
  ssl_policy       = google_compute_ssl_policy.this[each.key].id
}

# Port 443 alone: a token request by http is a leak that a redirect would come too late for.
resource "google_compute_global_forwarding_rule" "this" {
  for_each = local.balanced

  project               = var.project_id
  name                  = var.name
  target                = google_compute_target_https_proxy.this[each.key].id
  ip_address            = google_compute_global_address.this[each.key].id
  port_range            = "443"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  labels                = var.labels
}
