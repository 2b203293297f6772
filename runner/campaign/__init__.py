"""What is to be sent: the files of a campaign, its rows and addresses, each looked at before anything goes out."""
