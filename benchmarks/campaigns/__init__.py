"""Campaigns: runs that are killed or lied to, and the parts that judge what they leave."""
