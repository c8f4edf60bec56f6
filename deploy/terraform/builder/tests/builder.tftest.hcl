# terraform test: what the module asks of AWS, without asking AWS.

mock_provider "aws" {
  mock_data "aws_ssm_parameter" {
    defaults = { value = "ami-0123456789abcdef0" }
  }
}

variables {
  name            = "sdbuild-0123456789ab"
  cidrs           = ["203.0.113.7/32"]
  ssh_public_keys = ["ssh-ed25519 AAAA me"]
  host_key        = { private = "-----BEGIN\nkey\n-----END\n", public = "ssh-ed25519 BBBB" }
}

run "a_machine_ends_by_itself" {
  command = apply

  assert {
    condition     = aws_instance.builder.instance_initiated_shutdown_behavior == "terminate"
    error_message = "It would be stopped, and cost money."
  }
  assert {
    condition     = startswith(aws_instance.builder.user_data, "#cloud-config\n")
    error_message = "cloud-init would not read it."
  }
  assert {
    condition     = yamldecode(aws_instance.builder.user_data).bootcmd[0][4] == "3600"
    error_message = "The lease has to begin before anything else."
  }
  assert {
    condition     = yamldecode(aws_instance.builder.user_data).ssh_keys.ed25519_private == var.host_key.private
    error_message = "The host key is another one."
  }
  assert {
    condition     = aws_instance.builder.metadata_options[0].http_tokens == "required"
    error_message = "The metadata service has to want tokens."
  }
  assert {
    condition     = aws_instance.builder.instance_market_options[0].market_type == "spot"
    error_message = "It is not a spot machine."
  }
  assert {
    condition     = output.host_key == "ssh-ed25519 BBBB"
    error_message = "The host key is not reported."
  }
}

run "only_named_networks_reach_it" {
  command = plan

  variables {
    cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.cidrs]
}

run "without_spot_it_is_on_demand" {
  command = plan

  variables {
    spot = false
  }
  assert {
    condition     = length(aws_instance.builder.instance_market_options) == 0
    error_message = "It is a spot machine."
  }
}
