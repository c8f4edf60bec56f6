# A machine for one build of sdbuild: arm64, with Docker, and gone when it switches itself off.

terraform {
  required_version = ">= 1.7"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

data "aws_ssm_parameter" "image" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
}

data "aws_subnet" "given" {
  count = var.subnet_id == null ? 0 : 1
  id    = var.subnet_id
}

locals {
  cloud_config = {
    # The host key is the one that rent reported to sdbuild; no other is generated.
    ssh_deletekeys      = true
    ssh_keys            = { ed25519_private = var.host_key.private, ed25519_public = var.host_key.public }
    ssh_authorized_keys = var.ssh_public_keys
    # First of all, in each boot: whatever fails later, the machine ends.
    bootcmd = [
      ["sh", "-c", file("${path.module}/lease.sh"), "sdbuild-lease", tostring(var.lease_minutes * 60), "/run/sdbuild", "/run/systemd/system"],
    ]
    runcmd = [
      ["dnf", "install", "-y", "docker"],
      ["systemctl", "enable", "--now", "docker"],
      ["usermod", "-aG", "docker", "ec2-user"],
    ]
  }
}

resource "aws_security_group" "builder" {
  name        = var.name
  description = "SSH to a builder of sdbuild"
  vpc_id      = one(data.aws_subnet.given[*].vpc_id)
  tags        = { Name = var.name }

  ingress {
    protocol    = "tcp"
    from_port   = 22
    to_port     = 22
    cidr_blocks = var.cidrs
  }

  egress {
    protocol         = "-1"
    from_port        = 0
    to_port          = 0
    cidr_blocks      = ["0.0.0.0/0"]
    ipv6_cidr_blocks = ["::/0"]
  }
}

resource "aws_instance" "builder" {
  ami                    = nonsensitive(data.aws_ssm_parameter.image.value)
  instance_type          = var.instance_type
  subnet_id              = var.subnet_id
  vpc_security_group_ids = [aws_security_group.builder.id]
  user_data              = "#cloud-config\n${yamlencode(local.cloud_config)}"
  # Otherwise it would be stopped, and its disk would cost money.
  instance_initiated_shutdown_behavior = "terminate"
  tags                                 = { Name = var.name }
  volume_tags                          = { Name = var.name }

  dynamic "instance_market_options" {
    for_each = var.spot ? ["spot"] : []
    content {
      market_type = "spot"
      spot_options {
        spot_instance_type             = "one-time"
        instance_interruption_behavior = "terminate"
      }
    }
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_type           = "gp3"
    volume_size           = var.disk_gib
    encrypted             = true
    delete_on_termination = true
  }
}
