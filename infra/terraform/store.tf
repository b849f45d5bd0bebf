locals {
  # The collections whose documents expire: src/records/collections.ts has them for the broker, and a test compares them.
  expiring_collections = toset([
    "audit",
    "connections",
    "events",
    "issued",
    "refusals",
    "replays",
    "sessions",
    "tokens",
    "usage",
  ])
}

resource "google_firestore_database" "store" {
  project                           = var.project_id
  name                              = var.name
  location_id                       = local.firestore_location
  type                              = "FIRESTORE_NATIVE"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.deletion_protection ? "ABANDON" : "DELETE"

  depends_on = [google_project_service.this]
}

# They only tidy up: the broker ignores what has expired. No query names the field, and an index of a time that only grows
# would be written at one place.
resource "google_firestore_field" "ttl" {
  for_each = local.expiring_collections

  project    = var.project_id
  database   = google_firestore_database.store.name
  collection = each.key
  field      = "expiresAt"

  index_config {}

  ttl_config {}
}

resource "google_firestore_backup_schedule" "daily" {
  project   = var.project_id
  database  = google_firestore_database.store.name
  retention = "${var.daily_backups_days * 86400}s"

  daily_recurrence {}
}

resource "google_firestore_backup_schedule" "weekly" {
  project   = var.project_id
  database  = google_firestore_database.store.name
  retention = "${var.weekly_backups_weeks * 604800}s"

  weekly_recurrence {
    day = "SUNDAY"
  }
}
