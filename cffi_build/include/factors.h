/* factors.h — streaming statistics of a market: a constant number of operations per sample, whatever the window.
 *
 * A factor's whole state is one array of doubles that the caller owns, so that the same bytes serve Python, a compiled
 * strategy and a batch. Places that count hold whole numbers (exact to 2^53); places named _ns hold the bits of an int64.
 *
 *     rolling   │ capacity │ count │ next │ mean │ m2 │ m2_peak │ shift │ – │ sample 0 … capacity−1 │
 *     ema       │ alpha │ count │ value │ – │
 *     ema_time  │ tau_ns (double) │ count │ value │ last_ns │
 *     span      │ capacity │ count │ head │ sum │ lost │ dropped │ duration_ns │ mins │ maxs │ min_head │ max_head │ – │
 *               │ time × capacity │ sample × capacity │ min place × capacity │ max place × capacity │
 *     volatility│ interval_ns │ due_ns │ last mid │ samples_min │ value │ – │ – │ – │ rolling of the changes │
 *     flow      │ span offset │ – … │ span of signed quantities │ span of absolute quantities │
 *     rank      │ capacity │ count │ next │ – │ by arrival × capacity │ by size × capacity │
 *     guard     │ volatility limit │ change limit │ interval_ns │ due_ns │ last mid │ verdict │ z volatility │ z change │
 *               │ changes offset │ volatilities offset │ – … 16 │ rolling of changes │ rolling of volatilities │
 *
 * A sample that is not finite is refused everywhere; it changes nothing. Before a factor is warm its value is NaN.
 */
#ifndef CRYPTO_TRADE_FACTORS_H
#define CRYPTO_TRADE_FACTORS_H

#include <stdint.h>

/* cffi: begin */
#define ROLLING_HEAD 8
#define EMA_SIZE 4
#define SPAN_HEAD 16
#define VOLATILITY_HEAD 8
#define FLOW_HEAD 4
#define RANK_HEAD 4
#define GUARD_HEAD 16

typedef enum guard_verdict { GUARD_NORMAL = 0, GUARD_VOLATILITY = 1, GUARD_CHANGE = 2 } guard_verdict_e;

/* The last `capacity` samples in a ring with their mean and variance (Welford, with replacement). */
void   rolling_init(double *state, int64_t capacity);
void   rolling_reset(double *state);
int64_t rolling_push(double *state, double sample);         /* 1: taken; 0: refused, not finite */
int64_t rolling_count(const double *state);
int64_t rolling_is_full(const double *state);
double rolling_mean(const double *state);                   /* NaN while empty */
double rolling_std(const double *state, double ddof);       /* NaN while count <= ddof */
double rolling_zscore(const double *state, double sample);  /* (sample − mean) / std(0); 0 where std is 0; NaN while empty */
double rolling_at(const double *state, int64_t age);        /* 0: the newest; NaN if there is none so old */
void   rolling_batch(double *state, const double *samples, int64_t count, double *means, double *stds, double ddof);
void   rolling_zscore_batch(double *state, const double *samples, int64_t count, double *zscores);  /* each in the window with itself */

/* Exponential moving averages: by samples (value += alpha · (sample − value)), and by time (weight e^(−dt/tau)). */
void   ema_init(double *state, double alpha);
void   ema_reset(double *state);
double ema_update(double *state, double sample);            /* the new value */
void   ema_time_init(double *state, double tau_ns);
void   ema_time_reset(double *state);
double ema_time_update(double *state, int64_t now_ns, double sample);
double ema_value(const double *state);                      /* of both kinds; NaN while empty */
int64_t ema_count(const double *state);                     /* samples taken, of both kinds */
void   ema_time_batch(double *state, const int64_t *times, const double *samples, int64_t count, double *values);
void   ema_batch(double *state, const double *samples, int64_t count, double *values);

/* Samples of the last `duration_ns` with minimum, maximum, sum. A sample that is exactly `duration_ns` old has left.
 * Beyond `capacity` the oldest leaves before its time and is counted in `dropped`. Times must not go back. */
int64_t span_size(int64_t capacity);                        /* doubles that the state takes */
void   span_init(double *state, int64_t capacity, int64_t duration_ns);
void   span_reset(double *state);
int64_t span_push(double *state, int64_t now_ns, double sample);
void   span_expire(double *state, int64_t now_ns);
int64_t span_count(const double *state);
int64_t span_dropped(const double *state);
double span_sum(const double *state);                       /* 0 while empty */
double span_min(const double *state);                       /* NaN while empty */
double span_max(const double *state);
void   span_batch(double *state, const int64_t *times, const double *samples, int64_t count, double *sums, double *mins, double *maxs);

/* Standard deviation (ddof 0) of the changes of the mid, sampled every `interval_ns`, over a window of changes. */
int64_t volatility_size(int64_t capacity);
void   volatility_init(double *state, int64_t capacity, int64_t interval_ns, int64_t samples_min);
void   volatility_reset(double *state);
int64_t volatility_update(double *state, int64_t now_ns, double mid);  /* 1: a sample was taken */
double volatility_value(const double *state);               /* NaN until samples_min changes are there */
void   volatility_batch(double *state, const int64_t *times, const double *mids, int64_t count, double *values);

/* (bought − sold) / (bought + sold) by takers over the last `duration_ns`. */
int64_t flow_size(int64_t capacity);
void   flow_init(double *state, int64_t capacity, int64_t duration_ns);
void   flow_reset(double *state);
int64_t flow_push(double *state, int64_t now_ns, double signed_quantity);
double flow_value(double *state, int64_t now_ns);           /* in [−1, 1]; 0 while nothing traded */
int64_t flow_count(const double *state);                    /* trades in it */
/* The value at each of `asked` (times of an array in order) when all trades up to and including then are in. */
void   flow_batch(double *state, const int64_t *times, const double *signed_quantities, int64_t count, const int64_t *asked,
                  int64_t asked_count, double *values);

/* Where a value stands among the last `capacity` samples: the spread's percentile. */
int64_t rank_size(int64_t capacity);
void   rank_init(double *state, int64_t capacity);
void   rank_reset(double *state);
int64_t rank_push(double *state, double sample);
double rank_value(const double *state, double value);       /* in [0, 1], equal ones counted half; 0.5 while empty */
int64_t rank_count(const double *state);
int64_t rank_is_full(const double *state);
void   rank_batch(double *state, const double *samples, int64_t count, double *values);  /* each among those up to itself */

/* Stop loss by z-scores: how unusual is the last change of the mid, and how unusual the volatility. */
int64_t guard_size(int64_t changes, int64_t volatilities);
void   guard_init(double *state, int64_t changes, int64_t volatilities, int64_t interval_ns, double volatility_z_max,
                  double change_z_max);
void   guard_reset(double *state);
int64_t guard_update(double *state, int64_t now_ns, double mid);       /* guard_verdict_e; NORMAL while windows fill */
int64_t guard_verdict(const double *state);                 /* of the last update */
double guard_z_change(const double *state);                 /* of the last sample; 0 while its window fills */
double guard_z_volatility(const double *state);
int64_t guard_is_full(const double *state);                 /* both windows: from now on it can cry for either reason */
void   guard_batch(double *state, const int64_t *times, const double *mids, int64_t count, double *verdicts);

/* Without state. */
double microprice(double bid, double ask, double bid_quantity, double ask_quantity);  /* the mid if both are 0 */
double imbalance(double bid_quantity, double ask_quantity);            /* in [−1, 1]; 0 if both are 0 */
double combine(const double *weights, const double *values, int64_t count);  /* Σ w·v / Σ |w| over finite values; NaN: none */
/* Column-wise over `columns` arrays of `count` that lie one behind the other. */
void   combine_batch(const double *weights, int64_t columns, const double *values, int64_t count, double *combined);
/* cffi: end */

#endif
