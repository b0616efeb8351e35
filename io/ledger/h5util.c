#include "io/ledger/h5util.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* MPI-IO counts bytes in an int. */
static const int64_t piece_bytes = INT64_C(512) << 20;

void lrp_h5_quiet(void) {
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

/* What HDF5's error stack tells. */
typedef struct {
  char text[512]; /* of the innermost error */
  bool memory, access;
} reasons;

static herr_t collect(unsigned n, const H5E_error2_t *error, void *context) {
  reasons *r = context;
  if (n == 0) snprintf(r->text, sizeof r->text, "%s", error->desc ? error->desc : "");
  r->memory = r->memory || (error->maj_num == H5E_RESOURCE && error->min_num == H5E_NOSPACE);
  r->access = r->access || error->min_num == H5E_READERROR || error->min_num == H5E_MPI;
  return 0;
}

lrp_status lrp_h5_fail(lrp_status st, const char *file, const char *verb, const char *object) {
  reasons r = {.text = ""};
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, collect, &r);
  /* What cannot be read says nothing of what is there. */
  if (r.access && st == LRP_ERR_DATA) st = LRP_ERR_IO;
  if (r.memory && st < LRP_ERR_MEM) st = LRP_ERR_MEM;
  return lrp_fail(st, "%s: cannot %s %s: %s", file, verb, object, r.text[0] ? r.text : "HDF5");
}

size_t lrp_h5_type_size(lrp_ledger_type type) {
  switch (type) {
    case LRP_LEDGER_F64:
    case LRP_LEDGER_I64:
      return 8;
    case LRP_LEDGER_F32:
    case LRP_LEDGER_I32:
      return 4;
    case LRP_LEDGER_F16:
    case LRP_LEDGER_BF16:
      return 2;
    case LRP_LEDGER_U8:
      return 1;
  }
  return 0;
}

/* 16-bit floating point: sign in bit 15, then the exponent, then the mantissa with hidden bit. */
static hid_t float16_type(size_t mantissa, size_t exponent, size_t bias) {
  const hid_t t = H5Tcopy(H5T_NATIVE_FLOAT);
  if (t < 0) return t;
  if (H5Tset_fields(t, 15, mantissa, exponent, 0, mantissa) < 0 || H5Tset_size(t, 2) < 0 ||
      H5Tset_ebias(t, bias) < 0) {
    H5Tclose(t);
    return H5I_INVALID_HID;
  }
  return t;
}

static hid_t element_type(lrp_ledger_type type) {
  switch (type) {
    case LRP_LEDGER_F64:
      return H5Tcopy(H5T_NATIVE_DOUBLE);
    case LRP_LEDGER_F32:
      return H5Tcopy(H5T_NATIVE_FLOAT);
    case LRP_LEDGER_F16:
      return float16_type(10, 5, 15);
    case LRP_LEDGER_BF16:
      return float16_type(7, 8, 127);
    case LRP_LEDGER_I64:
      return H5Tcopy(H5T_NATIVE_INT64);
    case LRP_LEDGER_I32:
      return H5Tcopy(H5T_NATIVE_INT32);
    case LRP_LEDGER_U8:
      return H5Tcopy(H5T_NATIVE_UINT8);
  }
  return H5I_INVALID_HID;
}

lrp_h5_dataset lrp_h5_describe(const char *file, const char *path, lrp_ledger_type type,
                               int64_t rows, int64_t cols) {
  return (lrp_h5_dataset){.file = file,
                          .path = path,
                          .id = H5I_INVALID_HID,
                          .type = element_type(type),
                          .size = lrp_h5_type_size(type),
                          .rows = rows,
                          .cols = cols};
}

int64_t lrp_h5_bytes(const lrp_h5_dataset *d) {
  int64_t bytes;
  if (d->rows < 0 || d->cols < 0) return -1;
  if (__builtin_mul_overflow(d->rows, d->cols > 0 ? d->cols : 1, &bytes)) return -1;
  if (__builtin_mul_overflow(bytes, (int64_t)d->size, &bytes)) return -1;
  return bytes;
}

static hid_t creation_properties(void) {
  const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
  if (p < 0) return p;
  if (H5Pset_layout(p, H5D_CONTIGUOUS) < 0 || H5Pset_alloc_time(p, H5D_ALLOC_TIME_EARLY) < 0 ||
      H5Pset_fill_time(p, H5D_FILL_TIME_NEVER) < 0 || H5Pset_obj_track_times(p, 0) < 0) {
    H5Pclose(p);
    return H5I_INVALID_HID;
  }
  return p;
}

lrp_status lrp_h5_create(hid_t file, lrp_h5_dataset *d, int64_t *offset) {
  const hsize_t dims[2] = {(hsize_t)d->rows, (hsize_t)d->cols};
  const hid_t space = H5Screate_simple(d->cols > 0 ? 2 : 1, dims, NULL);
  const hid_t link = H5Pcreate(H5P_LINK_CREATE);
  const hid_t properties = creation_properties();

  if (space >= 0 && link >= 0 && properties >= 0 &&
      H5Pset_create_intermediate_group(link, 1) >= 0) {
    d->id = H5Dcreate2(file, d->path, d->type, space, link, properties, H5P_DEFAULT);
  }
  if (properties >= 0) H5Pclose(properties);
  if (link >= 0) H5Pclose(link);
  if (space >= 0) H5Sclose(space);
  if (d->id < 0) return lrp_h5_fail(LRP_ERR_CREATE, d->file, "create", d->path);
  return offset ? lrp_h5_offset(d, offset) : LRP_OK;
}

/* Rank and extents of the open dataset as planned; an unknown number of rows is filled in. */
static bool shape_agrees(lrp_h5_dataset *d) {
  const hid_t space = H5Dget_space(d->id);
  const int rank = d->cols > 0 ? 2 : 1;
  hsize_t dims[2] = {0, 0};
  bool same = false;

  if (space < 0) return false;
  if (H5Sget_simple_extent_ndims(space) == rank) {
    same = H5Sget_simple_extent_dims(space, dims, NULL) == rank && dims[0] <= INT64_MAX;
  }
  if (same && d->rows < 0) d->rows = (int64_t)dims[0];
  H5Sclose(space);
  return same && dims[0] == (hsize_t)d->rows && (rank == 1 || dims[1] == (hsize_t)d->cols);
}

static bool type_and_layout_agree(const lrp_h5_dataset *d) {
  const hid_t type = H5Dget_type(d->id);
  const hid_t properties = H5Dget_create_plist(d->id);
  const bool same = type >= 0 && properties >= 0 && H5Tequal(type, d->type) > 0 &&
                    H5Pget_layout(properties) == H5D_CONTIGUOUS &&
                    H5Pget_external_count(properties) == 0;

  if (properties >= 0) H5Pclose(properties);
  if (type >= 0) H5Tclose(type);
  return same;
}

lrp_status lrp_h5_open(hid_t file, lrp_h5_dataset *d) {
  d->id = H5Dopen2(file, d->path, H5P_DEFAULT);
  if (d->id < 0) return lrp_h5_fail(LRP_ERR_DATA, d->file, "open", d->path);
  if (!type_and_layout_agree(d) || !shape_agrees(d)) {
    return lrp_fail(LRP_ERR_DATA, "%s: %s has not the type or shape that was planned", d->file,
                    d->path);
  }
  return LRP_OK;
}

void lrp_h5_close(lrp_h5_dataset *d) {
  if (d->id >= 0) H5Dclose(d->id);
  if (d->type >= 0) H5Tclose(d->type);
  d->id = d->type = H5I_INVALID_HID;
}

lrp_status lrp_h5_offset(const lrp_h5_dataset *d, int64_t *offset) {
  const haddr_t address = H5Dget_offset(d->id);

  *offset = 0;
  if (lrp_h5_bytes(d) == 0) return LRP_OK;
  if (address == HADDR_UNDEF || address > INT64_MAX) {
    return lrp_h5_fail(LRP_ERR_DATA, d->file, "locate", d->path);
  }
  *offset = (int64_t)address;
  return LRP_OK;
}

/* A block of nr rows and nc columns: to the file if data, else from it into buffer. */
static bool move_block(const lrp_h5_dataset *d, int64_t r, int64_t nr, int64_t c, int64_t nc,
                       void *buffer, const void *data) {
  const hsize_t start[2] = {(hsize_t)r, (hsize_t)c}, count[2] = {(hsize_t)nr, (hsize_t)nc};
  const hsize_t elements = (hsize_t)nr * (hsize_t)nc;
  const hid_t in_memory = H5Screate_simple(1, &elements, NULL);
  const hid_t in_file = H5Dget_space(d->id);
  bool moved = in_memory >= 0 && in_file >= 0 &&
               H5Sselect_hyperslab(in_file, H5S_SELECT_SET, start, NULL, count, NULL) >= 0;

  if (moved && data) {
    moved = H5Dwrite(d->id, d->type, in_memory, in_file, H5P_DEFAULT, data) >= 0;
  } else if (moved) {
    moved = H5Dread(d->id, d->type, in_memory, in_file, H5P_DEFAULT, buffer) >= 0;
  }
  if (in_file >= 0) H5Sclose(in_file);
  if (in_memory >= 0) H5Sclose(in_memory);
  return moved;
}

/* Many whole rows at once, or a part of one row where a row is larger than a piece. */
static bool move_rows(const lrp_h5_dataset *d, int64_t row, int64_t rows, char *buffer,
                      const char *data) {
  const int64_t cols = d->cols > 0 ? d->cols : 1;
  const int64_t piece = piece_bytes / (int64_t)d->size;
  const int64_t step_c = cols < piece ? cols : piece;
  const int64_t step_r = piece / step_c;
  int64_t at = 0;

  for (int64_t r = row; r < row + rows; r += step_r) {
    const int64_t nr = step_r < row + rows - r ? step_r : row + rows - r;
    for (int64_t c = 0; c < cols; c += step_c) {
      const int64_t nc = step_c < cols - c ? step_c : cols - c;
      if (!move_block(d, r, nr, c, nc, buffer ? buffer + at : NULL, data ? data + at : NULL)) {
        return false;
      }
      at += nr * nc * (int64_t)d->size;
    }
  }
  return true;
}

static bool rows_exist(const lrp_h5_dataset *d, int64_t row, int64_t rows) {
  return row >= 0 && rows >= 0 && row <= d->rows && rows <= d->rows - row;
}

static lrp_status outside(const lrp_h5_dataset *d, int64_t row, int64_t rows) {
  return lrp_fail(LRP_ERR_BUG, "%s: %s has %lld rows, not %lld from %lld", d->file, d->path,
                  (long long)d->rows, (long long)rows, (long long)row);
}

lrp_status lrp_h5_read(const lrp_h5_dataset *d, int64_t row, int64_t rows, void *buffer) {
  if (!rows_exist(d, row, rows)) return outside(d, row, rows);
  if (!move_rows(d, row, rows, buffer, NULL)) {
    return lrp_h5_fail(LRP_ERR_IO, d->file, "read", d->path);
  }
  return LRP_OK;
}

lrp_status lrp_h5_write(const lrp_h5_dataset *d, int64_t row, int64_t rows, const void *data) {
  if (!rows_exist(d, row, rows)) return outside(d, row, rows);
  if (!move_rows(d, row, rows, NULL, data)) {
    return lrp_h5_fail(LRP_ERR_IO, d->file, "write", d->path);
  }
  return LRP_OK;
}
