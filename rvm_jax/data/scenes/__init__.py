"""Generated scenes: MuJoCo moves things, a ray caster renders them."""
