/* Writes a Hugging Face model directory of random weights: models of any size and shape for tests,
 * benchmarks and the demonstration. */
#include <signal.h>
#include <stdio.h>

#include "tests/tools/synth_arch.h"
#include "tests/tools/synth_file.h"
#include "tests/tools/synth_options.h"
#include "tests/tools/synth_tokenizer.h"
#include "tests/tools/synth_weights.h"

/* config.json comes last: a directory without it is not complete. */
static lrp_status write_model(const lrp_synth_options *o) {
  lrp_synth_tensors tensors = {0};
  lrp_status st = lrp_synth_tensors_init(o, &tensors);
  if (st == LRP_OK) st = lrp_synth_directory(o->out);
  if (st == LRP_OK) st = lrp_synth_tokenizer_write(o);
  if (st == LRP_OK) st = lrp_synth_weights_write(o, &tensors);
  if (st == LRP_OK) st = lrp_synth_config_write(o);
  lrp_synth_tensors_free(&tensors);
  return st;
}

int main(int argc, char **argv) {
  lrp_synth_options options;
  signal(SIGXFSZ, SIG_IGN); /* a file size limit is a failed write like any other */
  lrp_status st = lrp_synth_options_parse(argc, argv, &options);
  if (st == LRP_OK && options.help) {
    lrp_synth_options_help(stdout);
  } else if (st == LRP_OK) {
    st = write_model(&options);
  }
  if (st != LRP_OK) {
    const char *message = lrp_failure_message(st);
    fprintf(stderr, "synth_model: %s\n", message ? message : lrp_status_string(st));
  }
  return lrp_status_exit_code(st);
}
