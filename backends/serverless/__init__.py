"""A pipeline of DynamoDB, SQS and SES: campaigns that workers send, watched and driven over their APIs."""
