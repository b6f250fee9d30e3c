"""This machine in words. Results name it, since another kind of processor rounds differently."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil


def processor() -> str:
    """Return the name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def description() -> str:
    """Describe the machine: processor, cores, memory."""
    return f"{processor()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB"
