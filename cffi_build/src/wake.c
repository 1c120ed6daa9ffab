#include "wake.h"

#include <errno.h>
#include <unistd.h>

int32_t wake_ring(int32_t fd)
{
    const uint64_t one = 1;
    for (;;) {
        if (write(fd, &one, sizeof one) == (ssize_t)sizeof one || errno == EAGAIN)
            return 0;
        if (errno != EINTR)
            return errno;
    }
}

uint64_t wake_silence(int32_t fd)
{
    uint64_t count = 0;
    for (;;) {
        if (read(fd, &count, sizeof count) == (ssize_t)sizeof count)
            return count;
        if (errno != EINTR)
            return 0;
    }
}
