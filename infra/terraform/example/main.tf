terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.50, < 7.0"
    }
  }
}

provider "google" {
  project = var.project_id
}

variable "project_id" {
  description = "A project of the broker's own."
  type        = string
}

variable "image" {
  description = "The broker's image, by its digest."
  type        = string
}

# Elsewhere: source = "git::https://github.com/OWNER/downscope.git//infra/terraform?ref=COMMIT"
module "downscope" {
  source = "../"

  project_id = var.project_id
  region     = "europe-west1"
  image      = var.image
  policy     = file("${path.module}/policy.yaml")

  # Both outlive the region.
  firestore_location = "eur3"
  kms_location       = "europe"

  domain  = "tokens.acme.example"
  ingress = "load_balancer"
}

output "address" {
  description = "For the A record of tokens.acme.example."
  value       = module.downscope.address
}
