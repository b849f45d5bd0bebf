resource "google_kms_key_ring" "store" {
  project  = var.project_id
  name     = var.name
  location = local.kms_location

  depends_on = [google_project_service.this]
}

# Without this key no backup opens. Google keeps a destroyed version for 30 days more.
resource "google_kms_crypto_key" "store" {
  name                       = "store"
  key_ring                   = google_kms_key_ring.store.id
  purpose                    = "ENCRYPT_DECRYPT"
  rotation_period            = "7776000s"
  destroy_scheduled_duration = "2592000s"
  labels                     = var.labels

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_project_iam_audit_config" "kms" {
  count = var.kms_audit_logs ? 1 : 0

  project = var.project_id
  service = "cloudkms.googleapis.com"

  audit_log_config {
    log_type = "DATA_READ"
  }

  audit_log_config {
    log_type = "DATA_WRITE"
  }
}
