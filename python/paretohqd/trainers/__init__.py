"""Trainers besides supervised fine-tuning: on pairs, by reinforcement, several models together."""
