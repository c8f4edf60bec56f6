# An example of a configuration that rent applies: your region, your networks, and where your team keeps its state.

terraform {
  required_version = ">= 1.7"
  # backend "s3" { … }
}

provider "aws" {
  region = var.region
}

module "builder" {
  source          = "./builder"
  name            = "sdbuild-${terraform.workspace}"
  cidrs           = var.cidrs
  ssh_public_keys = var.ssh_public_keys
  host_key        = var.host_key
  lease_minutes   = var.lease_minutes
}

variable "region" {
  type = string
}

variable "cidrs" {
  type = list(string)
}

variable "ssh_public_keys" {
  type = list(string)
}

variable "lease_minutes" {
  type    = number
  default = 60
}

# rent makes one for each machine. It is not needed to destroy it.
variable "host_key" {
  type      = object({ private = string, public = string })
  sensitive = true
  default   = { private = "", public = "" }
}

output "host" {
  value = module.builder.host
}

output "id" {
  value = module.builder.id
}

output "host_key" {
  value = module.builder.host_key
}
