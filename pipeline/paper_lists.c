#include "pipeline/paper_lists.h"

#include <string.h>

#include "pipeline/expand_axis.h"

enum { paper_layers = 32 };

/* Bit l: layer l of 32. */
static const struct {
  const char *name;
  uint32_t layers;
} lists[LRP_PAPER_LISTS] = {
    {"r06", 1u << 2 | 1u << 29},
    {"r09", 1u << 2 | 1u << 17 | 1u << 31},
    {"r15", 1u << 2 | 1u << 8 | 1u << 14 | 1u << 20 | 1u << 26},
    {"r21", 1u << 4 | 1u << 8 | 1u << 12 | 1u << 16 | 1u << 20 | 1u << 24 | 1u << 28},
    {"r33", 0x24924924u | 1u << 31}, /* 2, 5, .. 29, and 31 */
    {"r48", 0x55555555u},            /* 0, 2, .. 30 */
    {"r60", 0x5557feaau},            /* 1, 3, .. 9, 10 to 18, 20, 22, .. 30 */
    {"r75", 0x3ffffeaau},            /* 1, 3, .. 9, 10 to 29 */
    {"r84", 0xffffff55u},            /* 0, 2, .. 8, 9 to 31 */
    {"r96", 0xffffffffu},
};

const char *lrp_paper_list_name(int list) {
  return lists[list].name;
}

void lrp_paper_list_ranks(int list, const lrp_config *config, int *rank) {
  const int layers = lrp_config_layers(config), tensors = lrp_config_layer_tensors(config);

  memset(rank, 0, (size_t)layers * (size_t)tensors * sizeof *rank);
  for (int l = 0; l < paper_layers; l++) {
    if ((lists[list].layers >> l & 1u) == 0) continue;
    const int64_t layer = lrp_scaled(l, layers - 1, paper_layers - 1);
    for (int t = 0; t < tensors; t++) rank[layer * tensors + t] = 1;
  }
}
