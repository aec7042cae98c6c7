# The release's template as a CloudFormation stack of Terraform's; zips and template go to a bucket that is there.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "packages" {
  description = "The folder with the release's zips, template-arm64.yaml and SHA256SUMS-arm64."
  type        = string
}

variable "bucket" {
  description = "A bucket in the stack's Region."
  type        = string
}

variable "parameters" {
  description = "The template's parameters."
  type        = map(string)
  default     = { Mode = "preview" }
}

locals {
  # A place of its own for each release: CloudFormation takes code of the same key for unchanged.
  prefix = "spot-drill/${substr(filesha256("${var.packages}/SHA256SUMS-arm64"), 0, 16)}"
  template = replace(
    file("${var.packages}/template-arm64.yaml"),
    "/CodeUri: ([a-z0-9-]+[.]zip)/",
    "CodeUri: s3://${var.bucket}/${local.prefix}/$1",
  )
}

data "aws_s3_bucket" "packages" {
  bucket = var.bucket
}

resource "aws_s3_object" "zip" {
  for_each = fileset(var.packages, "*-arm64.zip")
  bucket   = var.bucket
  key      = "${local.prefix}/${each.value}"
  source   = "${var.packages}/${each.value}"
}

# By its address, since it is longer than the 51,200 bytes that a request may carry.
resource "aws_s3_object" "template" {
  bucket  = var.bucket
  key     = "${local.prefix}/template.yaml"
  content = local.template
}

resource "aws_cloudformation_stack" "spot_drill" {
  name         = "spot-drill"
  template_url = "https://${data.aws_s3_bucket.packages.bucket_regional_domain_name}/${aws_s3_object.template.key}"
  parameters   = var.parameters
  # Terraform makes no change set, and so must allow SAM's transform itself.
  capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
  depends_on   = [aws_s3_object.zip]
}

output "outputs" {
  value = aws_cloudformation_stack.spot_drill.outputs
}
