#include "factors.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "window.h"

static int64_t get_ns(const double *place)
{
    int64_t value;
    memcpy(&value, place, sizeof value);
    return value;
}

static void put_ns(double *place, int64_t value)
{
    memcpy(place, &value, sizeof value);
}

/* ---- rolling ---------------------------------------------------------------------------------------------- */

enum { R_CAPACITY, R_COUNT, R_NEXT, R_MEAN, R_M2, R_PEAK };

/* Below this share of the largest m2 since the last full sum, what is left is mostly rounding: sum anew. It happens at
 * most a few times per outlier that leaves the window. */
static const double M2_SHARE_MIN = 1e-4;

void rolling_init(double *state, int64_t capacity)
{
    assert(capacity > 0 && "a window holds at least one sample");
    state[R_CAPACITY] = (double)capacity;
    rolling_reset(state);
}

void rolling_reset(double *state)
{
    for (int place = R_COUNT; place < ROLLING_HEAD; place++)
        state[place] = 0;
}

static void rolling_sum_anew(double *state)
{
    const double *samples = state + ROLLING_HEAD;
    int64_t count = (int64_t)state[R_COUNT];
    double sum = 0, m2 = 0, rest = 0;
    for (int64_t i = 0; i < count; i++)
        sum += samples[i];
    double mean = sum / (double)count;
    for (int64_t i = 0; i < count; i++) {
        double distance = samples[i] - mean;
        m2 += distance * distance;
        rest += distance;
    }
    state[R_MEAN] = mean + rest / (double)count;
    state[R_M2] = state[R_PEAK] = fmax(m2 - rest * rest / (double)count, 0);
}

int64_t rolling_push(double *state, double sample)
{
    if (!isfinite(sample))
        return 0;
    double *samples = state + ROLLING_HEAD;
    int64_t capacity = (int64_t)state[R_CAPACITY], count = (int64_t)state[R_COUNT], next = (int64_t)state[R_NEXT];
    double mean = state[R_MEAN], m2 = state[R_M2];
    if (count < capacity) {
        samples[next] = sample;
        count++;
        double distance = sample - mean;
        mean += distance / (double)count;
        m2 += distance * (sample - mean);
        state[R_COUNT] = (double)count;
    } else {
        double oldest = samples[next];
        samples[next] = sample;
        double change = sample - oldest, before = mean;
        mean += change / (double)count;
        m2 += change * (sample - mean + oldest - before);
    }
    next = next + 1 == capacity ? 0 : next + 1;
    state[R_NEXT] = (double)next;
    state[R_MEAN] = mean;
    state[R_M2] = m2;
    if (m2 > state[R_PEAK])
        state[R_PEAK] = m2;
    /* Once per round everything is summed anew, so that rounding never adds up: one more addition per sample. */
    if (next == 0 || m2 < M2_SHARE_MIN * state[R_PEAK])
        rolling_sum_anew(state);
    return 1;
}

int64_t rolling_count(const double *state) { return (int64_t)state[R_COUNT]; }

int64_t rolling_is_full(const double *state) { return state[R_COUNT] == state[R_CAPACITY]; }

double rolling_mean(const double *state) { return state[R_COUNT] > 0 ? state[R_MEAN] : NAN; }

double rolling_std(const double *state, double ddof)
{
    double freedom = state[R_COUNT] - ddof;
    return freedom > 0 ? sqrt(fmax(state[R_M2], 0) / freedom) : NAN;
}

double rolling_zscore(const double *state, double sample)
{
    if (state[R_COUNT] == 0)
        return NAN;
    double deviation = rolling_std(state, 0);
    return deviation > 0 ? (sample - state[R_MEAN]) / deviation : 0;
}

double rolling_at(const double *state, int64_t age)
{
    int64_t count = (int64_t)state[R_COUNT], capacity = (int64_t)state[R_CAPACITY];
    if (age < 0 || age >= count)
        return NAN;
    return state[ROLLING_HEAD + ((int64_t)state[R_NEXT] - 1 - age + 2 * capacity) % capacity];
}

void rolling_batch(double *state, const double *samples, int64_t count, double *means, double *stds, double ddof)
{
    for (int64_t i = 0; i < count; i++) {
        rolling_push(state, samples[i]);
        means[i] = rolling_mean(state);
        stds[i] = rolling_std(state, ddof);
    }
}

void rolling_zscore_batch(double *state, const double *samples, int64_t count, double *zscores)
{
    for (int64_t i = 0; i < count; i++) {
        rolling_push(state, samples[i]);
        zscores[i] = rolling_zscore(state, samples[i]);
    }
}

/* ---- exponential averages --------------------------------------------------------------------------------- */

enum { E_RATE, E_COUNT, E_VALUE, E_LAST };

void ema_init(double *state, double alpha)
{
    assert(alpha > 0 && alpha <= 1 && "alpha is a share");
    state[E_RATE] = alpha;
    ema_reset(state);
}

void ema_reset(double *state) { state[E_COUNT] = state[E_VALUE] = state[E_LAST] = 0; }

double ema_update(double *state, double sample)
{
    if (isfinite(sample)) {
        state[E_VALUE] = state[E_COUNT] == 0 ? sample : state[E_VALUE] + state[E_RATE] * (sample - state[E_VALUE]);
        state[E_COUNT] += 1;
    }
    return ema_value(state);
}

void ema_time_init(double *state, double tau_ns)
{
    assert(tau_ns > 0 && "a time constant is positive");
    state[E_RATE] = tau_ns;
    ema_reset(state);
}

void ema_time_reset(double *state) { ema_reset(state); }

double ema_time_update(double *state, int64_t now_ns, double sample)
{
    if (isfinite(sample)) {
        if (state[E_COUNT] == 0) {
            state[E_VALUE] = sample;
        } else {
            int64_t age_ns = now_ns - get_ns(state + E_LAST);
            state[E_VALUE] += (sample - state[E_VALUE]) * -expm1(-(double)(age_ns > 0 ? age_ns : 0) / state[E_RATE]);
        }
        put_ns(state + E_LAST, now_ns);
        state[E_COUNT] += 1;
    }
    return ema_value(state);
}

double ema_value(const double *state) { return state[E_COUNT] > 0 ? state[E_VALUE] : NAN; }

void ema_batch(double *state, const double *samples, int64_t count, double *values)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = ema_update(state, samples[i]);
}

int64_t ema_count(const double *state) { return (int64_t)state[E_COUNT]; }

void ema_time_batch(double *state, const int64_t *times, const double *samples, int64_t count, double *values)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = ema_time_update(state, times[i], samples[i]);
}

/* ---- a span of time --------------------------------------------------------------------------------------- */

enum { S_CAPACITY, S_COUNT, S_HEAD, S_SUM, S_LOST, S_DROPPED, S_DURATION, S_MINS, S_MAXS, S_MIN_HEAD, S_MAX_HEAD };

int64_t span_size(int64_t capacity) { return SPAN_HEAD + 4 * capacity; }

void span_init(double *state, int64_t capacity, int64_t duration_ns)
{
    assert(capacity > 0 && "a span holds at least one sample");
    assert(duration_ns > 0 && "a span lasts");
    state[S_CAPACITY] = (double)capacity;
    put_ns(state + S_DURATION, duration_ns);
    span_reset(state);
}

void span_reset(double *state)
{
    state[S_COUNT] = state[S_HEAD] = state[S_SUM] = state[S_LOST] = state[S_DROPPED] = 0;
    state[S_MINS] = state[S_MAXS] = state[S_MIN_HEAD] = state[S_MAX_HEAD] = 0;
}

/* Neumaier: what an addition rounds away is kept beside the sum. */
static void span_add(double *state, double sample)
{
    double sum = state[S_SUM], total = sum + sample;
    state[S_LOST] += fabs(sum) >= fabs(sample) ? (sum - total) + sample : (sample - total) + sum;
    state[S_SUM] = total;
}

static void span_pop(double *state)
{
    int64_t capacity = (int64_t)state[S_CAPACITY], head = (int64_t)state[S_HEAD];
    double *times = state + SPAN_HEAD, *samples = times + capacity, *mins = samples + capacity, *maxs = mins + capacity;
    (void)times;
    span_add(state, -samples[head]);
    if (state[S_MINS] > 0 && (int64_t)mins[(int64_t)state[S_MIN_HEAD]] == head) {
        state[S_MIN_HEAD] = (double)(((int64_t)state[S_MIN_HEAD] + 1) % capacity);
        state[S_MINS] -= 1;
    }
    if (state[S_MAXS] > 0 && (int64_t)maxs[(int64_t)state[S_MAX_HEAD]] == head) {
        state[S_MAX_HEAD] = (double)(((int64_t)state[S_MAX_HEAD] + 1) % capacity);
        state[S_MAXS] -= 1;
    }
    state[S_HEAD] = (double)((head + 1) % capacity);
    state[S_COUNT] -= 1;
    if (state[S_COUNT] == 0)
        state[S_SUM] = state[S_LOST] = 0;
}

void span_expire(double *state, int64_t now_ns)
{
    int64_t limit_ns = now_ns - get_ns(state + S_DURATION);
    const double *times = state + SPAN_HEAD;
    while (state[S_COUNT] > 0 && get_ns(times + (int64_t)state[S_HEAD]) <= limit_ns)
        span_pop(state);
}

/* Places of candidates, best first: a newcomer ends everybody who is not better than it. */
static void span_rival(double *places, const double *samples, double *head, double *count, int64_t capacity, int64_t place,
                       int is_min)
{
    while (*count > 0) {
        int64_t last = ((int64_t)*head + (int64_t)*count - 1) % capacity;
        double rival = samples[(int64_t)places[last]];
        if (is_min ? rival < samples[place] : rival > samples[place])
            break;
        *count -= 1;
    }
    places[((int64_t)*head + (int64_t)*count) % capacity] = (double)place;
    *count += 1;
}

int64_t span_push(double *state, int64_t now_ns, double sample)
{
    if (!isfinite(sample))
        return 0;
    span_expire(state, now_ns);
    int64_t capacity = (int64_t)state[S_CAPACITY];
    if ((int64_t)state[S_COUNT] == capacity) {
        span_pop(state);
        state[S_DROPPED] += 1;
    }
    double *times = state + SPAN_HEAD, *samples = times + capacity, *mins = samples + capacity, *maxs = mins + capacity;
    int64_t place = ((int64_t)state[S_HEAD] + (int64_t)state[S_COUNT]) % capacity;
    put_ns(times + place, now_ns);
    samples[place] = sample;
    state[S_COUNT] += 1;
    span_add(state, sample);
    span_rival(mins, samples, state + S_MIN_HEAD, state + S_MINS, capacity, place, 1);
    span_rival(maxs, samples, state + S_MAX_HEAD, state + S_MAXS, capacity, place, 0);
    return 1;
}

int64_t span_count(const double *state) { return (int64_t)state[S_COUNT]; }

int64_t span_dropped(const double *state) { return (int64_t)state[S_DROPPED]; }

double span_sum(const double *state) { return state[S_SUM] + state[S_LOST]; }

double span_min(const double *state)
{
    int64_t capacity = (int64_t)state[S_CAPACITY];
    const double *samples = state + SPAN_HEAD + capacity, *mins = samples + capacity;
    return state[S_COUNT] > 0 ? samples[(int64_t)mins[(int64_t)state[S_MIN_HEAD]]] : NAN;
}

double span_max(const double *state)
{
    int64_t capacity = (int64_t)state[S_CAPACITY];
    const double *samples = state + SPAN_HEAD + capacity, *maxs = samples + 2 * capacity;
    return state[S_COUNT] > 0 ? samples[(int64_t)maxs[(int64_t)state[S_MAX_HEAD]]] : NAN;
}

void span_batch(double *state, const int64_t *times, const double *samples, int64_t count, double *sums, double *mins, double *maxs)
{
    for (int64_t i = 0; i < count; i++) {
        span_push(state, times[i], samples[i]);
        sums[i] = span_sum(state);
        mins[i] = span_min(state);
        maxs[i] = span_max(state);
    }
}

/* ---- volatility ------------------------------------------------------------------------------------------- */

enum { V_INTERVAL, V_DUE, V_LAST, V_SAMPLES_MIN, V_STARTED };

int64_t volatility_size(int64_t capacity) { return VOLATILITY_HEAD + ROLLING_HEAD + capacity; }

void volatility_init(double *state, int64_t capacity, int64_t interval_ns, int64_t samples_min)
{
    assert(interval_ns > 0 && "an interval lasts");
    memset(state, 0, VOLATILITY_HEAD * sizeof(double));
    put_ns(state + V_INTERVAL, interval_ns);
    state[V_SAMPLES_MIN] = (double)samples_min;
    rolling_init(state + VOLATILITY_HEAD, capacity);
}

void volatility_reset(double *state)
{
    put_ns(state + V_DUE, 0);
    state[V_LAST] = state[V_STARTED] = 0;
    rolling_reset(state + VOLATILITY_HEAD);
}

/* The next point of the grid after now: a late sample does not move the grid. Whole intervals that passed without a call
 * give no samples. */
static int64_t next_due(int64_t due_ns, int64_t now_ns, int64_t interval_ns)
{
    return due_ns + ((now_ns - due_ns) / interval_ns + 1) * interval_ns;
}

int64_t volatility_update(double *state, int64_t now_ns, double mid)
{
    int64_t interval_ns = get_ns(state + V_INTERVAL), due_ns = get_ns(state + V_DUE);
    if (!isfinite(mid))
        return 0;
    if (state[V_STARTED] == 0) {
        state[V_STARTED] = 1;
        state[V_LAST] = mid;
        put_ns(state + V_DUE, now_ns + interval_ns);
        return 0;
    }
    if (now_ns < due_ns)
        return 0;
    put_ns(state + V_DUE, next_due(due_ns, now_ns, interval_ns));
    rolling_push(state + VOLATILITY_HEAD, mid - state[V_LAST]);
    state[V_LAST] = mid;
    return 1;
}

double volatility_value(const double *state)
{
    const double *changes = state + VOLATILITY_HEAD;
    return changes[R_COUNT] > 0 && changes[R_COUNT] >= state[V_SAMPLES_MIN] ? rolling_std(changes, 0) : NAN;
}

void volatility_batch(double *state, const int64_t *times, const double *mids, int64_t count, double *values)
{
    for (int64_t i = 0; i < count; i++) {
        volatility_update(state, times[i], mids[i]);
        values[i] = volatility_value(state);
    }
}

/* ---- trade flow ------------------------------------------------------------------------------------------- */

int64_t flow_size(int64_t capacity) { return FLOW_HEAD + 2 * span_size(capacity); }

void flow_init(double *state, int64_t capacity, int64_t duration_ns)
{
    memset(state, 0, FLOW_HEAD * sizeof(double));
    state[0] = (double)(FLOW_HEAD + span_size(capacity));
    span_init(state + FLOW_HEAD, capacity, duration_ns);
    span_init(state + (int64_t)state[0], capacity, duration_ns);
}

void flow_reset(double *state)
{
    span_reset(state + FLOW_HEAD);
    span_reset(state + (int64_t)state[0]);
}

int64_t flow_push(double *state, int64_t now_ns, double signed_quantity)
{
    span_push(state + (int64_t)state[0], now_ns, fabs(signed_quantity));
    return span_push(state + FLOW_HEAD, now_ns, signed_quantity);
}

double flow_value(double *state, int64_t now_ns)
{
    double *signed_span = state + FLOW_HEAD, *absolute_span = state + (int64_t)state[0];
    span_expire(signed_span, now_ns);
    span_expire(absolute_span, now_ns);
    double total = span_sum(absolute_span);
    return total > 0 ? span_sum(signed_span) / total : 0;
}

int64_t flow_count(const double *state) { return span_count(state + FLOW_HEAD); }

void flow_batch(double *state, const int64_t *times, const double *signed_quantities, int64_t count, const int64_t *asked,
                int64_t asked_count, double *values)
{
    int64_t trade = 0;
    for (int64_t i = 0; i < asked_count; i++) {
        for (; trade < count && times[trade] <= asked[i]; trade++)
            flow_push(state, times[trade], signed_quantities[trade]);
        values[i] = flow_value(state, asked[i]);
    }
}

/* ---- rank: window.h over the caller's doubles --------------------------------------------------------------- */

enum { K_CAPACITY, K_COUNT, K_NEXT };

int64_t rank_size(int64_t capacity) { return RANK_HEAD + 2 * capacity; }

void rank_init(double *state, int64_t capacity)
{
    assert(capacity > 0 && "a window holds at least one sample");
    state[K_CAPACITY] = (double)capacity;
    rank_reset(state);
}

void rank_reset(double *state) { state[K_COUNT] = state[K_NEXT] = 0; }

static window_t rank_window(const double *state)
{
    double *arrays = (double *)state + RANK_HEAD;
    uint32_t capacity = (uint32_t)state[K_CAPACITY];
    return (window_t){.arrival = arrays, .sorted = arrays + capacity, .count = (uint32_t)state[K_COUNT],
                      .capacity = capacity, .next = (uint32_t)state[K_NEXT]};
}

int64_t rank_push(double *state, double sample)
{
    window_t window = rank_window(state);
    int taken = window_push(&window, sample);
    state[K_COUNT] = window.count;
    state[K_NEXT] = window.next;
    return taken;
}

double rank_value(const double *state, double value)
{
    window_t window = rank_window(state);
    return window_rank(&window, value);
}

int64_t rank_count(const double *state) { return (int64_t)state[K_COUNT]; }

int64_t rank_is_full(const double *state) { return state[K_COUNT] == state[K_CAPACITY]; }

void rank_batch(double *state, const double *samples, int64_t count, double *values)
{
    for (int64_t i = 0; i < count; i++) {
        rank_push(state, samples[i]);
        values[i] = rank_value(state, samples[i]);
    }
}

/* ---- stop loss -------------------------------------------------------------------------------------------- */

enum { G_VOLATILITY_MAX, G_CHANGE_MAX, G_INTERVAL, G_DUE, G_LAST, G_VERDICT, G_Z_VOLATILITY, G_Z_CHANGE, G_CHANGES,
       G_VOLATILITIES, G_STARTED };

int64_t guard_size(int64_t changes, int64_t volatilities)
{
    return GUARD_HEAD + 2 * ROLLING_HEAD + changes + volatilities;
}

void guard_init(double *state, int64_t changes, int64_t volatilities, int64_t interval_ns, double volatility_z_max,
                double change_z_max)
{
    assert(interval_ns > 0 && "an interval lasts");
    memset(state, 0, GUARD_HEAD * sizeof(double));
    state[G_VOLATILITY_MAX] = volatility_z_max;
    state[G_CHANGE_MAX] = change_z_max;
    put_ns(state + G_INTERVAL, interval_ns);
    state[G_CHANGES] = GUARD_HEAD;
    state[G_VOLATILITIES] = (double)(GUARD_HEAD + ROLLING_HEAD + changes);
    rolling_init(state + (int64_t)state[G_CHANGES], changes);
    rolling_init(state + (int64_t)state[G_VOLATILITIES], volatilities);
}

void guard_reset(double *state)
{
    put_ns(state + G_DUE, 0);
    state[G_LAST] = state[G_VERDICT] = state[G_Z_VOLATILITY] = state[G_Z_CHANGE] = state[G_STARTED] = 0;
    rolling_reset(state + (int64_t)state[G_CHANGES]);
    rolling_reset(state + (int64_t)state[G_VOLATILITIES]);
}

int64_t guard_update(double *state, int64_t now_ns, double mid)
{
    double *changes = state + (int64_t)state[G_CHANGES], *volatilities = state + (int64_t)state[G_VOLATILITIES];
    if (!isfinite(mid))
        return (int64_t)state[G_VERDICT];
    int64_t interval_ns = get_ns(state + G_INTERVAL), due_ns = get_ns(state + G_DUE);
    if (state[G_STARTED] == 0) {
        state[G_STARTED] = 1;
        state[G_LAST] = mid;
        put_ns(state + G_DUE, now_ns + interval_ns);
        return GUARD_NORMAL;
    }
    if (now_ns < due_ns)
        return (int64_t)state[G_VERDICT];
    put_ns(state + G_DUE, next_due(due_ns, now_ns, interval_ns));
    double change = mid - state[G_LAST];
    state[G_LAST] = mid;
    /* Both are judged against what was there before them, and then join it. */
    double z_change = rolling_is_full(changes) ? rolling_zscore(changes, change) : 0;
    rolling_push(changes, change);
    double z_volatility = 0;
    if (rolling_is_full(changes)) {
        double volatility = rolling_std(changes, 0);
        z_volatility = rolling_is_full(volatilities) ? rolling_zscore(volatilities, volatility) : 0;
        rolling_push(volatilities, volatility);
    }
    state[G_Z_VOLATILITY] = z_volatility;
    state[G_Z_CHANGE] = z_change;
    int64_t verdict = fabs(z_change) > state[G_CHANGE_MAX]          ? GUARD_CHANGE
                      : z_volatility > state[G_VOLATILITY_MAX] ? GUARD_VOLATILITY
                                                               : GUARD_NORMAL;
    state[G_VERDICT] = (double)verdict;
    return verdict;
}

int64_t guard_verdict(const double *state) { return (int64_t)state[G_VERDICT]; }

double guard_z_change(const double *state) { return state[G_Z_CHANGE]; }

double guard_z_volatility(const double *state) { return state[G_Z_VOLATILITY]; }

int64_t guard_is_full(const double *state)
{
    return rolling_is_full(state + (int64_t)state[G_CHANGES]) && rolling_is_full(state + (int64_t)state[G_VOLATILITIES]);
}

void guard_batch(double *state, const int64_t *times, const double *mids, int64_t count, double *verdicts)
{
    for (int64_t i = 0; i < count; i++)
        verdicts[i] = (double)guard_update(state, times[i], mids[i]);
}

/* ---- without state ---------------------------------------------------------------------------------------- */

double microprice(double bid, double ask, double bid_quantity, double ask_quantity)
{
    double total = bid_quantity + ask_quantity;
    return total > 0 ? (bid * ask_quantity + ask * bid_quantity) / total : (bid + ask) / 2;
}

double imbalance(double bid_quantity, double ask_quantity)
{
    double total = bid_quantity + ask_quantity;
    return total > 0 ? (bid_quantity - ask_quantity) / total : 0;
}

double combine(const double *weights, const double *values, int64_t count)
{
    double sum = 0, total = 0;
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(values[i])) {
            sum += weights[i] * values[i];
            total += fabs(weights[i]);
        }
    }
    return total > 0 ? sum / total : NAN;
}

void combine_batch(const double *weights, int64_t columns, const double *values, int64_t count, double *combined)
{
    for (int64_t i = 0; i < count; i++) {
        double sum = 0, total = 0;
        for (int64_t column = 0; column < columns; column++) {
            double value = values[column * count + i];
            if (isfinite(value)) {
                sum += weights[column] * value;
                total += fabs(weights[column]);
            }
        }
        combined[i] = total > 0 ? sum / total : NAN;
    }
}
