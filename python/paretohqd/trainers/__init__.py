"""Fine-tuning: SFT, DPO, GRPO and several adapters for one hypervolume; their settings."""
