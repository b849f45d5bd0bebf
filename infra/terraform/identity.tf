resource "google_service_account" "broker" {
  project      = var.project_id
  account_id   = var.name
  display_name = "Downscope token broker"

  depends_on = [google_project_service.this]
}

# Only this account starts maintenance: the policy makes it an operator, and it has no role at Google.
resource "google_service_account" "scheduler" {
  project      = var.project_id
  account_id   = "${var.name}-scheduler"
  display_name = "Starts the maintenance of Downscope"

  depends_on = [google_project_service.this]
}

resource "google_project_iam_member" "store" {
  project = var.project_id
  role    = "roles/datastore.user"
  member  = google_service_account.broker.member

  condition {
    title      = "${var.name} only"
    expression = "resource.name == \"projects/${var.project_id}/databases/${google_firestore_database.store.name}\""
  }
}

resource "google_kms_crypto_key_iam_member" "store" {
  crypto_key_id = google_kms_crypto_key.store.id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = google_service_account.broker.member
}

resource "google_secret_manager_secret_iam_member" "secrets" {
  for_each = toset([for each in values(var.secrets) : each.secret])

  project   = var.project_id
  secret_id = each.key
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.broker.member
}

resource "google_secret_manager_secret_iam_member" "files" {
  for_each = google_secret_manager_secret.files

  project   = var.project_id
  secret_id = each.value.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.broker.member
}

resource "google_service_account_iam_member" "impersonated" {
  for_each = var.impersonated_service_accounts

  service_account_id = "projects/-/serviceAccounts/${each.key}"
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_service_account.broker.member
}

resource "google_service_account_iam_member" "rotated" {
  for_each = var.rotated_service_accounts

  service_account_id = "projects/-/serviceAccounts/${each.key}"
  role               = "roles/iam.serviceAccountKeyAdmin"
  member             = google_service_account.broker.member
}

resource "google_project_iam_member" "metrics" {
  count = var.collector_image == null ? 0 : 1

  project = var.project_id
  role    = "roles/monitoring.metricWriter"
  member  = google_service_account.broker.member
}
