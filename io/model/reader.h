/** @file io/model/reader.h
 *  A thread that reads tensors ahead of their use, and looks at every byte once.
 *
 *  It reads through descriptors of its own, which fills the page cache behind the mapped weights: a
 *  disk that fails gives a status here, and a signal there. It makes no MPI or HDF5 calls. */
#ifndef LRP_IO_MODEL_READER_H
#define LRP_IO_MODEL_READER_H

#include "io/model/safetensors.h"
#include "kernels/matrix.h"
#include "kernels/status.h"

/** A tensor to read, and what was seen in it. */
typedef struct {
  const lrp_safetensors *file;  /* borrowed */
  const lrp_safetensor *tensor; /* borrowed; of file */
  bool look;                    /* hash it and look for NaN; else it is only read */
  int64_t weight;  /* its number among the weights, lower is more urgent to report; -1: it is none,
                      and is not looked at for NaN */
  lrp_dtype dtype; /* of a weight */
  bool done;       /* by the reader: looked at from end to end */
  uint64_t xxh3;   /* XXH3-64 of its bytes; 1 for 0 */
  int64_t nonfinite; /* NaN and infinite elements */
  int64_t first;     /* the first of them, counted in elements */
} lrp_reader_item;

typedef struct lrp_reader lrp_reader;

/** Start to read items[0], items[1], ... Local.
 *  @param items        borrowed until lrp_reader_stop; what was seen is valid after that
 *  @param ahead_bytes  it stays at most that far ahead of lrp_reader_reached
 *  @return LRP_OK, LRP_ERR_MEM (also: no thread) */
lrp_status lrp_reader_start(lrp_reader_item *items, int64_t n, size_t ahead_bytes,
                            lrp_reader **out);

/** Items before item are in use, or done with. Local. */
void lrp_reader_reached(lrp_reader *reader, int64_t item);

/** Local. @return LRP_OK; LRP_ERR_DATA as soon as a NaN was seen, without a message: where the
 * first one is, is known at the end; the status of what failed */
lrp_status lrp_reader_state(lrp_reader *reader);

/** Wait up to that many seconds for the end of reading, which is not held back any more. Local.
 *  After a NaN only items are read whose weight is below that of the NaN.
 *  @return whether the end is reached */
bool lrp_reader_wait(lrp_reader *reader, double seconds);

/** End the thread, wherever it is, and set *reader to NULL. Local; accepts NULL.
 *  @return LRP_OK (also after a NaN); LRP_ERR_DATA if a file is not the one that was mapped, or is
 *          shorter than it was; LRP_ERR_ABSENT, LRP_ERR_PERM, LRP_ERR_IO */
lrp_status lrp_reader_stop(lrp_reader **reader);

#endif
