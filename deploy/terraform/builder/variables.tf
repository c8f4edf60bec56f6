variable "name" {
  description = "Name and tag of everything that is made; rent passes sdbuild-RUN."
  type        = string
}

variable "cidrs" {
  description = "Networks from which the machine may be reached by SSH, such as 203.0.113.7/32."
  type        = list(string)

  validation {
    condition     = length(var.cidrs) > 0 && alltrue([for cidr in var.cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "Name at least one network, and not the whole internet."
  }
}

variable "ssh_public_keys" {
  description = "Keys that may log in, as in ~/.ssh/id_ed25519.pub."
  type        = list(string)
}

variable "host_key" {
  description = "Ed25519 key of the machine's SSH server: the private half in OpenSSH's format, and the public one. Clients expect this key."
  type        = object({ private = string, public = string })
  sensitive   = true
}

variable "lease_minutes" {
  description = "After so long the machine switches itself off, and AWS destroys it; rent extends that."
  type        = number
  default     = 60
}

variable "instance_type" {
  description = "An arm64 type: c8g, c7g, m8g, m7g."
  type        = string
  default     = "c7g.2xlarge"
}

variable "spot" {
  description = "Whether to take spare capacity, for a part of the price; AWS may take it back."
  type        = bool
  default     = true
}

variable "disk_gib" {
  description = "Size of the disk in GiB."
  type        = number
  default     = 60
}

variable "subnet_id" {
  description = "Subnet with public addresses; the default network's if there is none."
  type        = string
  default     = null
}
