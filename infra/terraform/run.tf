locals {
  # What the containers read as files. Neither is secret: a secret never goes through Terraform, whose state has every value.
  files = merge(
    var.policy == null ? {} : {
      policy = replace(var.policy, "SCHEDULER_SUBJECT", google_service_account.scheduler.unique_id)
    },
    var.collector_image == null ? {} : {
      collector = yamlencode({
        apiVersion = "monitoring.googleapis.com/v1beta"
        kind       = "RunMonitoring"
        metadata   = { name = "run-gmp-sidecar" }
        spec       = { endpoints = [{ port = local.metrics_port, path = "/metrics", interval = "30s" }] }
      })
    },
  )
}

resource "google_secret_manager_secret" "files" {
  for_each = toset(keys(local.files))

  project   = var.project_id
  secret_id = "${var.name}-${each.key}"
  labels    = var.labels

  replication {
    auto {}
  }

  depends_on = [google_project_service.this]
}

resource "google_secret_manager_secret_version" "files" {
  for_each = local.files

  secret          = google_secret_manager_secret.files[each.key].id
  secret_data     = each.value
  deletion_policy = "ABANDON"
}

resource "google_cloud_run_v2_service" "broker" {
  project             = var.project_id
  name                = var.name
  location            = var.region
  labels              = var.labels
  deletion_protection = var.deletion_protection
  ingress             = { all = "INGRESS_TRAFFIC_ALL", load_balancer = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER", internal = "INGRESS_TRAFFIC_INTERNAL_ONLY" }[var.ingress]
  # The broker authenticates each caller. Cloud Run's own check would take the JWT out of the header.
  invoker_iam_disabled = true

  template {
    service_account                  = google_service_account.broker.email
    max_instance_request_concurrency = var.concurrency
    timeout                          = "30s"

    scaling {
      min_instance_count = var.min_instances
      max_instance_count = var.max_instances
    }

    containers {
      name  = "broker"
      image = var.image

      ports {
        container_port = 8080
      }

      resources {
        limits            = { cpu = var.cpu, memory = var.memory }
        cpu_idle          = !var.always_allocate_cpu
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = local.settings

        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = var.secrets

        content {
          name = env.key

          value_source {
            secret_key_ref {
              secret  = env.value.secret
              version = env.value.version
            }
          }
        }
      }

      dynamic "volume_mounts" {
        for_each = var.policy == null ? [] : ["policy"]

        content {
          name       = volume_mounts.value
          mount_path = "/etc/downscope"
        }
      }

      # Four minutes: Google needs some until a new role counts.
      startup_probe {
        period_seconds    = 10
        timeout_seconds   = 3
        failure_threshold = 24

        http_get {
          path = "/readyz"
          port = 8080
        }
      }

      liveness_probe {
        period_seconds  = 30
        timeout_seconds = 3

        http_get {
          path = "/healthz"
          port = 8080
        }
      }
    }

    dynamic "containers" {
      for_each = var.collector_image == null ? [] : [var.collector_image]

      content {
        name       = "collector"
        image      = containers.value
        depends_on = ["broker"]

        volume_mounts {
          name       = "collector"
          mount_path = "/etc/rungmp"
        }
      }
    }

    dynamic "volumes" {
      for_each = google_secret_manager_secret_version.files

      content {
        name = volumes.key

        secret {
          secret = google_secret_manager_secret.files[volumes.key].secret_id

          items {
            version = volumes.value.version
            path    = volumes.key == "policy" ? "policy.yaml" : "config.yaml"
          }
        }
      }
    }
  }

  depends_on = [
    google_kms_crypto_key_iam_member.store,
    google_project_iam_member.store,
    google_secret_manager_secret_iam_member.files,
    google_secret_manager_secret_iam_member.secrets,
  ]
}

resource "google_cloud_scheduler_job" "maintenance" {
  project          = var.project_id
  region           = var.region
  name             = "${var.name}-maintenance"
  description      = "Rotates keys, sweeps what has expired, looks after credentials"
  schedule         = var.maintenance_schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "60s"

  http_target {
    http_method = "POST"
    uri         = "${var.ingress == "internal" ? google_cloud_run_v2_service.broker.uri : local.issuer}/v1/admin/maintenance:run"

    oidc_token {
      service_account_email = google_service_account.scheduler.email
      audience              = local.issuer
    }
  }
}
