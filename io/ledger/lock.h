/** @file io/ledger/lock.h
 *  One run per output directory. */
#ifndef LRP_IO_LEDGER_LOCK_H
#define LRP_IO_LEDGER_LOCK_H

#include <stdbool.h>

#include "kernels/status.h"

typedef struct lrp_lock lrp_lock;

/** Take OUT/lock for all process ranks of comm. Collective; the file is handled by process rank 0.
 *  It holds host, process ids and start times of the process ranks on that host, job id
 *  (SLURM_JOB_ID) and is touched every 10 s by a thread of process rank 0. A lock of this host
 *  whose processes are all gone is taken over at once; one whose processes live is waited for
 * wait_s seconds (process ranks outlive a killed mpirun by seconds; 30 is right), then
 * LRP_ERR_CREATE. A lock of another host (or of a container with process ids of its own) is taken
 * over after 60 s without a touch, else waited for wait_s seconds, then refused. The refusal names
 * the holder: host, process id, job id. Of several that find the same stale lock one takes it.
 *  @return LRP_OK, LRP_ERR_CREATE, LRP_ERR_PERM, LRP_ERR_IO, LRP_ERR_MEM; the same everywhere */
lrp_status lrp_lock_take(const char *out, double wait_s, MPI_Comm comm, lrp_lock **lock);

/** Remove the lock and stop the heartbeat. Collective over the comm of take; accepts NULL. */
void lrp_lock_release(lrp_lock **lock);

/** Whether OUT is locked by a live run, and by whom ("host pid 123 job 45"). Local, no MPI. */
bool lrp_lock_holder(const char *out, char *who, size_t size);

#endif
