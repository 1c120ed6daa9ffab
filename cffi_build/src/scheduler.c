#define _GNU_SOURCE
#include "scheduler.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The first version of the kernel's struct sched_attr (sched_setattr(2)); old C libraries do not declare it. */
struct attributes {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns; /* of a policy without deadlines: the slice */
    uint64_t deadline_ns;
    uint64_t period_ns;
};

int32_t scheduler_slice_set(uint64_t slice_ns)
{
    struct attributes now = {.size = sizeof now};
    if (syscall(SYS_sched_getattr, 0, &now, sizeof now, 0))
        return errno;
    now.flags = 0;
    now.runtime_ns = slice_ns;
    return syscall(SYS_sched_setattr, 0, &now, 0) ? errno : 0;
}
