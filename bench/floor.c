/* floor.c — what this machine can do at best, in C: the figures that ours are held against.
 *
 *   ./floor clock    <core> <count>                          one reading of CLOCK_MONOTONIC after the other
 *   ./floor ring     <core> <core> <count> <gap ns>          a slot in shared memory ──▶ the other core sees it, both spin
 *   ./floor eventfd  <core> <core> <count> <gap ns>          write(eventfd) ──▶ a process that slept in read() is awake
 *   ./floor loopback <core> <core> <count> <gap ns>          250 bytes over TCP to an echo and back, blocking sockets
 *
 * Prints one latency in ns per line; the last line is "checksum <sum of the sequence numbers that arrived>".
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_SIZE 250  /* An order, or a tick with its head. */
#define TIME_MAX_S 60     /* Whoever waits for ever is ended. */

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        perror("cannot pin");
        exit(1);
    }
}

/* One line each, so that the two sides share nothing else. */
typedef struct shared {
    _Alignas(64) _Atomic int64_t sequence;
    _Alignas(64) int64_t stamp;
    _Alignas(64) _Atomic int64_t seen;
    _Alignas(64) int64_t latencies[];
} shared_t;

static shared_t *shared;
static int64_t count, gap_ns;

static void wait_until(int64_t due)
{
    while (now_ns() < due)
        ;
}

static pid_t fork_reader(void)
{
    pid_t child = fork();
    assert(child >= 0 && "a second process");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(TIME_MAX_S);
    }
    return child;
}

static void ring(int producer, int consumer)
{
    pid_t child = fork_reader();
    if (child == 0) {
        pin(consumer);
        for (int64_t next = 1; next <= count; next++) {
            while (atomic_load_explicit(&shared->sequence, memory_order_acquire) < next)
                ;
            shared->latencies[next - 1] = now_ns() - shared->stamp;
            atomic_store_explicit(&shared->seen, next, memory_order_release);
        }
        _exit(0);
    }
    pin(producer);
    int64_t due = now_ns() + 50000000;
    for (int64_t next = 1; next <= count; next++, due += gap_ns) {
        wait_until(due);
        while (atomic_load_explicit(&shared->seen, memory_order_acquire) < next - 1)
            ;
        shared->stamp = now_ns();
        atomic_store_explicit(&shared->sequence, next, memory_order_release);
    }
    waitpid(child, 0, 0);
}

static void wake(int writer, int sleeper)
{
    int bell = eventfd(0, 0);
    assert(bell >= 0 && "an eventfd");
    pid_t child = fork_reader();
    if (child == 0) {
        pin(sleeper);
        for (int64_t next = 1; next <= count; next++) {
            uint64_t rung;
            if (read(bell, &rung, sizeof rung) != sizeof rung)
                _exit(1);
            shared->latencies[next - 1] = now_ns() - shared->stamp;
            atomic_store_explicit(&shared->seen, next, memory_order_release);
        }
        _exit(0);
    }
    pin(writer);
    for (int64_t next = 1; next <= count; next++) {
        struct timespec pause = {0, gap_ns};  /* Asleep, so that on one shared core the sleeper gets there too. */
        nanosleep(&pause, 0);
        while (atomic_load_explicit(&shared->seen, memory_order_acquire) < next - 1)
            ;
        shared->stamp = now_ns();
        uint64_t one = 1;
        if (write(bell, &one, sizeof one) != sizeof one)
            exit(1);
    }
    waitpid(child, 0, 0);
}

static void move_all(int fd, char *bytes, int is_write)
{
    for (size_t done = 0; done < MESSAGE_SIZE;) {
        ssize_t moved = is_write ? write(fd, bytes + done, MESSAGE_SIZE - done) : read(fd, bytes + done, MESSAGE_SIZE - done);
        if (moved <= 0)
            _exit(0);
        done += (size_t)moved;
    }
}

static void loopback(int client, int server)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 1) == 0);
    assert(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    char bytes[MESSAGE_SIZE] = {0};
    pid_t child = fork_reader();
    if (child == 0) {
        pin(server);
        int peer = accept(listener, 0, 0);
        setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        for (;;) {
            move_all(peer, bytes, 0);
            move_all(peer, bytes, 1);
        }
    }
    pin(client);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert(connect(fd, (struct sockaddr *)&address, size) == 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (int64_t next = 1; next <= count; next++) {
        struct timespec pause = {0, gap_ns};
        nanosleep(&pause, 0);
        memcpy(bytes, &next, sizeof next);
        int64_t start = now_ns(), echoed;
        move_all(fd, bytes, 1);
        move_all(fd, bytes, 0);
        shared->latencies[next - 1] = now_ns() - start;
        memcpy(&echoed, bytes, sizeof echoed);
        shared->seen += echoed == next;
    }
    close(fd);
    waitpid(child, 0, 0);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return fprintf(stderr, "usage: floor clock CORE COUNT | floor ring|eventfd|loopback CORE CORE COUNT GAP_NS\n"), 2;
    int is_clock = strcmp(argv[1], "clock") == 0;
    count = atoll(argv[is_clock ? 3 : 4]);
    gap_ns = is_clock || argc < 6 ? 0 : atoll(argv[5]);
    shared = mmap(0, sizeof *shared + (size_t)count * sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE,
                  -1, 0);
    assert(shared != MAP_FAILED && "memory for the latencies");
    alarm(TIME_MAX_S);
    if (is_clock) {
        pin(atoi(argv[2]));
        for (int64_t index = 0, before = now_ns(); index < count; index++) {
            int64_t after = now_ns();
            shared->latencies[index] = after - before;
            before = after;
        }
        shared->seen = count;
    } else if (strcmp(argv[1], "ring") == 0) {
        ring(atoi(argv[2]), atoi(argv[3]));
    } else if (strcmp(argv[1], "eventfd") == 0) {
        wake(atoi(argv[2]), atoi(argv[3]));
    } else {
        loopback(atoi(argv[2]), atoi(argv[3]));
    }
    for (int64_t index = 0; index < count; index++)
        printf("%lld\n", (long long)shared->latencies[index]);
    printf("checksum %lld\n", (long long)shared->seen);
    return shared->seen == count ? 0 : 1;
}
