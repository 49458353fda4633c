"""shapes-diffusion: a StableDiffusionPipeline of the world of coloured shapes; training, publishing, measuring."""
