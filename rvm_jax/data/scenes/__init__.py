"""Generated scenes: MuJoCo moves things, a ray caster draws them."""
