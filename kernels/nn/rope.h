/** @file kernels/nn/rope.h
 *  Rotary position embedding, with the scalings of its frequencies that Llama models use. */
#ifndef LRP_KERNELS_NN_ROPE_H
#define LRP_KERNELS_NN_ROPE_H

#include <stdint.h>

typedef enum { LRP_ROPE_DEFAULT, LRP_ROPE_LINEAR, LRP_ROPE_LLAMA3 } lrp_rope_type;

/** How frequencies are stretched for contexts longer than those of the training, by the names of
 *  config.json. Zeroed: not at all. */
typedef struct {
  lrp_rope_type type;
  double factor;                            /* of linear and llama3 */
  double low_freq_factor, high_freq_factor; /* of llama3; low < high */
  double original_max_position_embeddings;  /* of llama3 */
} lrp_rope_scaling;

/** Angle from one position to the next of pair i < head_dim / 2, in double. Local.
 *  f = theta^(-2 i / head_dim) by default; f / factor for linear. For llama3, with the wavelength
 *  w = 2 pi / f and the original length n: f where w < n / high_freq_factor; f / factor where
 *  w > n / low_freq_factor; in between (1 - s) f / factor + s f with
 *  s = (n / w - low_freq_factor) / (high_freq_factor - low_freq_factor).
 *  Source: modeling_rope_utils.py of Hugging Face transformers 4.46. */
double lrp_rope_frequency(double theta, const lrp_rope_scaling *scaling, int64_t head_dim,
                          int64_t i);

/** cos and sin of position * frequency for all pairs, computed in double. Local.
 *  @param[out] table  positions rows: head_dim / 2 cosines, then head_dim / 2 sines */
void lrp_rope_table(int64_t positions, int64_t head_dim, double theta,
                    const lrp_rope_scaling *scaling, float *table);

/** Rotate t rows of heads x head_dim elements in place, pairs (i, i + head_dim / 2) as Hugging Face
 *  lays them out, by the angles of each row's position. Local.
 *  Source: Su et al., arXiv:2104.09864. */
void lrp_rope(float *x, int64_t t, int64_t heads, int64_t head_dim, const int64_t *positions,
              const float *table);

#endif
