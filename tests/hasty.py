"""XLA flags to compile quickly, for programs that run a few times: less than half of the time, and the same results."""

import jax

# What LLVM's passes would win is less than what they take. Of XLA's own passes none is left out, and compilers for TPUs
# do not read it.
_FLAGS = ["--xla_backend_optimization_level=0"]
# The old emitters of fused loops. JAX 0.12 has them no more, nor the flag.
_CPU_FLAGS = ["--xla_cpu_use_fusion_emitters=false"] if jax.__version_info__ < (0, 12) else []
# The default schedule lets two devices come to the same two collectives in either order, and then wait for each other.
_DEVICES_FLAGS = ["--xla_cpu_enable_concurrency_optimized_scheduler=false"]


def xla_flags(given: str = "", devices: int = 0, libtpu: bool = True) -> str:
    """The value of XLA_FLAGS.

    Args:
      given: what it is now. Of a flag in both, that of `given` stays.
      devices: how many the CPU is to be; 0 leaves that as it is.
      libtpu: whether the process may load libtpu, which ends it at a flag that it does not know.
    """
    flags = [*_FLAGS, *([] if libtpu else _CPU_FLAGS)]
    if devices:
        flags += [f"--xla_force_host_platform_device_count={devices}", *([] if libtpu else _DEVICES_FLAGS)]
    names = {flag.partition("=")[0] for flag in given.split()}
    return " ".join([*given.split(), *(flag for flag in flags if flag.partition("=")[0] not in names)])
