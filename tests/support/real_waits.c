/* libfaketime 0.9.10 takes the end of a wait on the monotonic clock for one on the clock that it fakes, also where it
   leaves the monotonic one alone: every time.sleep of Python 3.11 fails with EINVAL. Loaded before it, this one asks
   the kernel. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left) {
  return syscall(SYS_clock_nanosleep, clock, flags, until, left) == 0 ? 0 : errno;
}
