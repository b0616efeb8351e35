#include "tests/bench/evaluate/peak.h"

#include <math.h>

#include "tests/bench/bench_timing.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

/* Independent sums, enough to hide the latency of two units of 4 cycles; they stay in registers. */
enum { sums = 12, rounds = 1 << 20, tries = 8 };

/* count flops per thread; the result keeps the compiler from leaving them out. */
typedef float loop(double *count);

__attribute__((target("avx2,fma"))) static float fma_256(double *count) {
  volatile float one = 1.0F, zero = 0.0F;
  const __m256 x = _mm256_set1_ps(one), y = _mm256_set1_ps(zero);
  __m256 s[sums];
  for (int i = 0; i < sums; i++) s[i] = _mm256_set1_ps((float)i);
  for (int r = 0; r < rounds; r++) {
#pragma GCC unroll 12
    for (int i = 0; i < sums; i++) s[i] = _mm256_fmadd_ps(s[i], x, y);
  }
  for (int i = 1; i < sums; i++) s[0] = _mm256_add_ps(s[0], s[i]);
  *count = 2.0 * 8.0 * sums * rounds;
  return _mm256_cvtss_f32(s[0]);
}

__attribute__((target("avx512f"))) static float fma_512(double *count) {
  volatile float one = 1.0F, zero = 0.0F;
  const __m512 x = _mm512_set1_ps(one), y = _mm512_set1_ps(zero);
  __m512 s[sums];
  for (int i = 0; i < sums; i++) s[i] = _mm512_set1_ps((float)i);
  for (int r = 0; r < rounds; r++) {
#pragma GCC unroll 12
    for (int i = 0; i < sums; i++) s[i] = _mm512_fmadd_ps(s[i], x, y);
  }
  for (int i = 1; i < sums; i++) s[0] = _mm512_add_ps(s[0], s[i]);
  *count = 2.0 * 16.0 * sums * rounds;
  return _mm512_cvtss_f32(s[0]);
}

__attribute__((target("avx512f,avx512bf16"))) static float dot_bf16(double *count) {
  volatile int ones = 0x3f803f80; /* a pair of 1 */
  const __m512bh x = (__m512bh)_mm512_set1_epi32(ones);
  __m512 s[sums];
  for (int i = 0; i < sums; i++) s[i] = _mm512_set1_ps((float)i);
  for (int r = 0; r < rounds; r++) {
#pragma GCC unroll 12
    for (int i = 0; i < sums; i++) s[i] = _mm512_dpbf16_ps(s[i], x, x);
  }
  for (int i = 1; i < sums; i++) s[0] = _mm512_add_ps(s[0], s[i]);
  *count = 2.0 * 32.0 * sums * rounds;
  return _mm512_cvtss_f32(s[0]);
}

static loop *choose(lrp_dtype dtype) {
  if (dtype == LRP_BF16) return __builtin_cpu_supports("avx512bf16") ? dot_bf16 : NULL;
  if (__builtin_cpu_supports("avx512f")) return fma_512;
  return __builtin_cpu_supports("fma") ? fma_256 : NULL;
}

/* All threads at once: flops of all over the time of the slowest. */
static double measure(loop *run) {
  volatile float sink = 0.0F;
  double all = 0.0, start = 0.0;
#pragma omp parallel reduction(+ : all)
  {
    double count = 0.0;
#pragma omp barrier
#pragma omp master
    start = lrp_bench_clock();
#pragma omp barrier
    sink = run(&count);
    all += count;
  }
  const double seconds = lrp_bench_clock() - start;
  (void)sink;
  return all / seconds;
}

double lrp_bench_peak(lrp_dtype dtype) {
  loop *run = choose(dtype);
  double best = 0.0;
  if (!run) return NAN;
  for (int i = 0; i < tries; i++) best = fmax(best, measure(run));
  return best;
}

#else

double lrp_bench_peak(lrp_dtype dtype) {
  (void)dtype;
  return NAN;
}

#endif
