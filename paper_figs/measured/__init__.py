"""Measurements that several figures share, each computed once and kept."""
