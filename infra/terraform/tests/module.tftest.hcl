# `tofu test`: plans against a provider that answers from its schema alone, so that nothing is created.
mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  project_id = "acme-tokens"
  region     = "europe-west1"
  image      = "europe-west1-docker.pkg.dev/acme-tokens/downscope/broker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
}

run "without_a_domain" {
  command = plan

  assert {
    condition     = output.issuer == "https://downscope-123456789012.europe-west1.run.app"
    error_message = "The issuer is Cloud Run's own URL."
  }

  assert {
    condition     = output.address == null && length(google_compute_security_policy.this) == 0
    error_message = "Nothing of a load balancer is created."
  }

  assert {
    condition     = google_firestore_database.store.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_ENABLED"
    error_message = "The database can be read as it was."
  }
}

run "with_a_domain" {
  command = plan

  variables {
    domain  = "tokens.acme.example"
    ingress = "load_balancer"
    policy  = "admins: [{ callers: [{ issuer: google, subject: 'SCHEDULER_SUBJECT' }], role: operator }]"
  }

  assert {
    condition     = output.issuer == "https://tokens.acme.example"
    error_message = "The issuer is the domain."
  }

  assert {
    condition     = google_cloud_run_v2_service.broker.ingress == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
    error_message = "Nobody goes around the load balancer."
  }

  assert {
    condition     = length(google_secret_manager_secret_version.files) == 1
    error_message = "The policy is a file of its own."
  }
}

run "a_domain_that_can_be_gone_around" {
  command = plan

  variables {
    domain = "tokens.acme.example"
  }

  expect_failures = [var.ingress]
}

run "a_secret_among_the_settings" {
  command = plan

  variables {
    settings = { DOWNSCOPE_KEYS = "k1:AAAA" }
  }

  expect_failures = [var.settings]
}

run "a_secret_without_its_version" {
  command = plan

  variables {
    secrets = { DOWNSCOPE_KEYS = { secret = "downscope-keys", version = "latest" } }
  }

  expect_failures = [var.secrets]
}

run "an_image_that_can_change" {
  command = plan

  variables {
    image = "europe-west1-docker.pkg.dev/acme-tokens/downscope/broker:0.1.0"
  }

  expect_failures = [var.image]
}
