"""Moves the wall clock of one process, even while it runs. Its monotonic time stays right."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SHIM: Final = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset_s;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("CLOCK_OFFSET");
  int file = path ? open(path, O_RDONLY) : -1;
  if (file < 0) return;
  void *found = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (found != MAP_FAILED) offset_s = found;
}

int clock_gettime(clockid_t id, struct timespec *at) {
  int result = syscall(SYS_clock_gettime, id, at);
  if (!result && offset_s && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += *offset_s;
  return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}
"""


class Clock:
    """The clock of the processes that are started with `env` or by `wrapped`. `move` sets how far this clock is from the true
    time.
    """

    def __init__(self, shim: Path, offset: Path) -> None:
        self._offset = offset
        self._shim = shim
        self.move(0)

    def move(self, seconds: int) -> None:
        """Set the clock this many seconds ahead of the true time, or behind it if negative."""
        with self._offset.open("r+b" if self._offset.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))

    @property
    def env(self) -> Mapping[str, str]:
        return {"LD_PRELOAD": str(self._shim), "CLOCK_OFFSET": str(self._offset)}

    def wrapped(self, binary: str) -> str:
        """The path of a script that runs `binary` under this clock."""
        script = self._offset.with_name("wrapped")
        settings = " ".join(f"{name}='{value}'" for name, value in self.env.items())
        script.write_text(f'#!/bin/sh\nexec env {settings} {binary} "$@"\n')
        script.chmod(0o755)
        return str(script)
