output "host" {
  description = "Where its SSH server is: the line host= of rent."
  value       = "ec2-user@${aws_instance.builder.public_ip}"
}

output "host_key" {
  description = "Its host key: the line host-key= of rent."
  value       = nonsensitive(var.host_key.public)
}

output "id" {
  description = "Its id."
  value       = aws_instance.builder.id
}
