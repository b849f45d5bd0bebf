variable "project_id" {
  description = "The project that everything is created in. Give the broker one of its own: whoever can read its database and use its key has every credential."
  type        = string
}

variable "region" {
  description = "Where Cloud Run, Cloud Scheduler and, unless said otherwise, the database and the key are."
  type        = string
}

variable "image" {
  description = "The broker's container image, by its digest: `REGION-docker.pkg.dev/PROJECT/REPOSITORY/broker@sha256:…`."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "Name the image by its digest (gcloud artifacts docker images describe IMAGE), so that what runs changes only with this value."
  }
}

variable "name" {
  description = "What the service, the database, the key ring and the accounts are called."
  type        = string
  default     = "downscope"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{3,16}[a-z0-9]$", var.name))
    error_message = "The name has 5 to 18 lower-case letters, digits and hyphens and begins with a letter."
  }
}

variable "issuer" {
  description = "The broker's public URL, which callers put into their JWT as `aud`. By default `https://DOMAIN`, without a domain Cloud Run's own URL."
  type        = string
  default     = null
}

variable "policy" {
  description = "The policy document. `SCHEDULER_SUBJECT` in it stands for the unique id of the account that starts maintenance. Without it the broker reads the policy from its store."
  type        = string
  default     = null
}

variable "settings" {
  description = "Further settings of the broker by name, as docs/settings.md has them: none that the module sets, and none that is a secret."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.settings), local.own_settings)) == 0
    error_message = "The module itself sets DOWNSCOPE_ISSUER, DOWNSCOPE_STORE, DOWNSCOPE_KEY_RING, DOWNSCOPE_POLICY, DOWNSCOPE_REFRESH and DOWNSCOPE_METRICS_PORT."
  }

  validation {
    condition     = length(setintersection(keys(var.settings), local.secret_settings)) == 0
    error_message = "A secret belongs into Secret Manager: name it in `secrets`."
  }
}

variable "secrets" {
  description = "Settings that are secrets, by name: the id of a secret of this project that exists, and the number of its version."
  type        = map(object({ secret = string, version = string }))
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.secrets), local.secret_settings)) == 0
    error_message = "No such setting is a secret: see docs/settings.md."
  }

  validation {
    condition     = alltrue([for each in values(var.secrets) : can(regex("^[1-9][0-9]*$", each.version))])
    error_message = "Pin the version by its number: with `latest` two instances can have different values, and no plan shows a change."
  }
}

variable "impersonated_service_accounts" {
  description = "E-mail addresses of service accounts whose tokens the broker may get without a key of theirs."
  type        = set(string)
  default     = []
}

variable "rotated_service_accounts" {
  description = "E-mail addresses of service accounts whose keys the broker may create and delete by its own identity, with `DOWNSCOPE_ROTATION_IDENTITY = \"broker\"`."
  type        = set(string)
  default     = []
}

variable "min_instances" {
  description = "How many instances always run. 0 costs nothing while nobody asks, and makes the first caller wait."
  type        = number
  default     = 1
}

variable "max_instances" {
  description = "How many instances there are at most."
  type        = number
  default     = 10
}

variable "concurrency" {
  description = "How many requests an instance has at once."
  type        = number
  default     = 80
}

variable "cpu" {
  description = "CPUs of an instance. It has one thread: more than 1 helps the collector alone."
  type        = string
  default     = "1"
}

variable "memory" {
  description = "Memory of an instance."
  type        = string
  default     = "512Mi"
}

variable "always_allocate_cpu" {
  description = "Whether an instance has its CPU between requests too: then tokens are refreshed ahead and nobody waits. Necessary for refresh tokens that rotate."
  type        = bool
  default     = true
}

variable "ingress" {
  description = "Who reaches the service: `all`, `load_balancer` (and the project's own network), or `internal` (the project's own network alone)."
  type        = string
  default     = "all"

  validation {
    condition     = contains(["all", "load_balancer", "internal"], var.ingress)
    error_message = "The ingress is all, load_balancer or internal."
  }

  validation {
    condition     = var.domain == null || var.ingress == "load_balancer"
    error_message = "With a domain the ingress is load_balancer: otherwise Cloud Armor can be gone around."
  }
}

variable "domain" {
  description = "A domain name for a global load balancer with Cloud Armor and a managed certificate. Its A record must lead to the output `address`."
  type        = string
  default     = null
}

variable "requests_per_minute_per_address" {
  description = "How many requests a minute Cloud Armor lets through from one IP address."
  type        = number
  default     = 6000
}

variable "firestore_location" {
  description = "Where the database is: a region, or a multi-region (`eur3`, `nam5`), which outlives a region. It can never be changed. By default `region`."
  type        = string
  default     = null
}

variable "kms_location" {
  description = "Where the key is: a region, or a multi-region (`europe`, `us`). By default `region`."
  type        = string
  default     = null
}

variable "kms_audit_logs" {
  description = "Whether Google logs each use of the project's keys. It sets the audit configuration of Cloud KMS for the whole project."
  type        = bool
  default     = true
}

variable "daily_backups_days" {
  description = "For how many days daily backups of the database are kept, 1 to 98."
  type        = number
  default     = 7
}

variable "weekly_backups_weeks" {
  description = "For how many weeks weekly backups of the database are kept, 1 to 14."
  type        = number
  default     = 14
}

variable "deletion_protection" {
  description = "Whether Google and Terraform refuse to delete the service and the database."
  type        = bool
  default     = true
}

variable "maintenance_schedule" {
  description = "When maintenance runs, as cron writes it, in UTC."
  type        = string
  default     = "*/10 * * * *"
}

variable "collector_image" {
  description = "The image of Google's collector for Prometheus metrics on Cloud Run (cloud-run-gmp-sidecar), by its digest. With it the metrics go to Cloud Monitoring and the alert policies of infra/monitoring are created."
  type        = string
  default     = null

  validation {
    condition     = var.collector_image == null || can(regex("@sha256:[0-9a-f]{64}$", var.collector_image))
    error_message = "Name the collector's image by its digest."
  }
}

variable "notification_channels" {
  description = "Ids of the notification channels that alerts go to."
  type        = list(string)
  default     = []
}

variable "runbooks_url" {
  description = "Where your copy of docs/runbooks.md is; alerts lead there."
  type        = string
  default     = "https://tokens.acme.example/runbooks"
}

variable "labels" {
  description = "Labels of whatever takes some."
  type        = map(string)
  default     = {}
}
