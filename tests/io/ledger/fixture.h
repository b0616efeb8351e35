/** @file tests/io/ledger/fixture.h
 *  A plan of all element types, with units of uneven extents, and data that anyone can compute. */
#ifndef LRP_TESTS_IO_LEDGER_FIXTURE_H
#define LRP_TESTS_IO_LEDGER_FIXTURE_H

#include <stddef.h>

#include "io/ledger/ledger.h"

#define FIXTURE_FORMAT "lrpipe test"

enum { fixture_blocks = 23, fixture_units = fixture_blocks + 1, fixture_datasets = 7 };

/** Unit 0 has whole matrices of its own; units 1 .. share the rows of two datasets. */
typedef struct {
  lrp_ledger_plan plan;
  lrp_ledger_dataset datasets[fixture_datasets];
  lrp_ledger_extent extents[4 + 2 * fixture_blocks];
  lrp_ledger_unit units[fixture_units];
  char names[fixture_units][32];
  lrp_ledger_note notes[2];
  char *job; /* owned: a note of more than 64 KiB */
} fixture;

/** block_rows scales the shared datasets: the larger, the longer a write takes. */
void fixture_init(fixture *f, int64_t block_rows);
void fixture_free(fixture *f);

/** Bytes of rows rows of a dataset. */
size_t fixture_bytes(const fixture *f, int64_t dataset, int64_t rows);

/** What belongs into an extent; freed by the caller. */
void *fixture_data(const fixture *f, const lrp_ledger_extent *extent);

/** Write all data of unit, with a record that shows unit and attempt. */
lrp_status fixture_write(lrp_ledger *ledger, const fixture *f, int64_t unit, int attempt);

/** Whether the ledger holds exactly the data of unit. */
bool fixture_right(lrp_ledger *ledger, const fixture *f, int64_t unit);

#endif
