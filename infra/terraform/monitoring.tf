locals {
  # infra/monitoring/cloud-monitoring.json, which is written from alerts.yaml; the collector sends what they look at.
  alerts = {
    for alert in(var.collector_image == null ? [] : jsondecode(file("${path.module}/../monitoring/cloud-monitoring.json"))) :
    alert.displayName => alert
  }
  # Google's probes come from outside.
  probed = var.ingress == "internal" ? toset([]) : toset([trimprefix(local.issuer, "https://")])
}

resource "google_monitoring_alert_policy" "metrics" {
  for_each = local.alerts

  project               = var.project_id
  display_name          = each.key
  combiner              = each.value.combiner
  severity              = each.value.severity
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = each.key

    condition_prometheus_query_language {
      query               = each.value.conditions[0].conditionPrometheusQueryLanguage.query
      duration            = each.value.conditions[0].conditionPrometheusQueryLanguage.duration
      evaluation_interval = each.value.conditions[0].conditionPrometheusQueryLanguage.evaluationInterval
      # The metrics exist once the first instance has sent some.
      disable_metric_validation = true
    }
  }

  documentation {
    content   = replace(each.value.documentation.content, "https://tokens.acme.example/runbooks", var.runbooks_url)
    mime_type = each.value.documentation.mimeType
  }
}

# Not /healthz: Google's front end keeps paths that end in z to itself.
resource "google_monitoring_uptime_check_config" "issuer" {
  for_each = local.probed

  project      = var.project_id
  display_name = "${var.name} answers"
  period       = "60s"
  timeout      = "10s"

  http_check {
    path         = "/.well-known/oauth-authorization-server"
    port         = 443
    use_ssl      = true
    validate_ssl = true
  }

  content_matchers {
    content = local.issuer
  }

  monitored_resource {
    type   = "uptime_url"
    labels = { project_id = var.project_id, host = each.key }
  }

  depends_on = [google_project_service.this]
}

resource "google_monitoring_alert_policy" "uptime" {
  for_each = local.probed

  project               = var.project_id
  display_name          = "${var.name} does not answer"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "Failed from two places for three minutes"

    condition_threshold {
      filter          = "metric.type = \"monitoring.googleapis.com/uptime_check/check_passed\" AND metric.labels.check_id = \"${google_monitoring_uptime_check_config.issuer[each.key].uptime_check_id}\" AND resource.type = \"uptime_url\""
      comparison      = "COMPARISON_GT"
      threshold_value = 1
      duration        = "180s"

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = "REDUCE_COUNT_FALSE"
      }
    }
  }

  documentation {
    content   = "The broker does not answer from outside.\n\n${var.runbooks_url}#downscopeavailability"
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "maintenance" {
  project               = var.project_id
  display_name          = "${var.name} maintenance fails"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = var.notification_channels
  user_labels           = var.labels

  conditions {
    display_name = "A run was refused or got no answer"

    condition_matched_log {
      filter = "resource.type = \"cloud_scheduler_job\" AND resource.labels.job_id = \"${google_cloud_scheduler_job.maintenance.name}\" AND severity >= ERROR"
    }
  }

  alert_strategy {
    notification_rate_limit {
      period = "3600s"
    }
  }

  documentation {
    content   = "Keys are not rotated and nothing is swept until it runs again. Most often the policy does not make the scheduler's account an operator."
    mime_type = "text/markdown"
  }
}
