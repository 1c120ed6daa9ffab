#include "messages.h"

#include <string.h>

void message_clear(void *message, uint64_t size)
{
    memset(message, 0, size);
}
