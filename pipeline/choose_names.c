#include "pipeline/choose_names.h"

#include <string.h>

bool lrp_is_chosen_name(const char *name) {
  static const char *const prefixes[] = {LRP_CHOSEN_PREFIX, LRP_CANDIDATE_PREFIX, LRP_PAPER_PREFIX};

  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
    if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) return true;
  }
  return false;
}
