data "google_project" "this" {
  project_id = var.project_id
}

locals {
  issuer = coalesce(
    var.issuer,
    var.domain == null ? "https://${var.name}-${data.google_project.this.number}.${var.region}.run.app" : "https://${var.domain}",
  )
  firestore_location = coalesce(var.firestore_location, var.region)
  kms_location       = coalesce(var.kms_location, var.region)

  # Each is a secret setting of the table of settings (docs/settings.md); a test compares them.
  secret_settings = toset([
    "DOWNSCOPE_GOOGLE_CREDENTIALS",
    "DOWNSCOPE_KEYS",
    "DOWNSCOPE_SIGNING_KEYS",
    "DOWNSCOPE_SIGN_IN_CLIENT_SECRET",
    "DOWNSCOPE_WEBHOOK_SECRET",
    "DOWNSCOPE_WEBHOOK_URL",
    "OTEL_EXPORTER_OTLP_HEADERS",
  ])

  metrics_port = 9464

  own_settings = toset([
    "DOWNSCOPE_ISSUER",
    "DOWNSCOPE_KEY_RING",
    "DOWNSCOPE_METRICS_PORT",
    "DOWNSCOPE_POLICY",
    "DOWNSCOPE_REFRESH",
    "DOWNSCOPE_STORE",
  ])

  settings = merge(
    var.settings,
    {
      DOWNSCOPE_ISSUER   = local.issuer
      DOWNSCOPE_KEY_RING = "gcp-kms://${google_kms_crypto_key.store.id}"
      DOWNSCOPE_REFRESH  = var.always_allocate_cpu ? "background" : "inline"
      DOWNSCOPE_STORE    = "firestore://${var.project_id}/${google_firestore_database.store.name}"
    },
    var.policy == null ? {} : { DOWNSCOPE_POLICY = "/etc/downscope/policy.yaml" },
    var.collector_image == null ? {} : { DOWNSCOPE_METRICS_PORT = tostring(local.metrics_port) },
  )
}

resource "google_project_service" "this" {
  for_each = toset(concat(
    [
      "cloudkms.googleapis.com",
      "cloudscheduler.googleapis.com",
      "firestore.googleapis.com",
      "iam.googleapis.com",
      "iamcredentials.googleapis.com",
      "monitoring.googleapis.com",
      "run.googleapis.com",
      "secretmanager.googleapis.com",
    ],
    var.domain == null ? [] : ["compute.googleapis.com"],
  ))

  project            = var.project_id
  service            = each.key
  disable_on_destroy = false
}
