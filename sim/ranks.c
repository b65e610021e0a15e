/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/ranks.h"

#include <errno.h>
#include <stdlib.h>

#include "config.h"

/* Open MPI tells each process how many there are; without mpirun MPI_Init() would start
 * a daemon for this one alone. */
static bool has_company(void)
{
	const char *size = getenv("OMPI_COMM_WORLD_SIZE");

	return size && strtol(size, NULL, 10) > 1;
}

#ifdef HAVE_MPI

#include <mpi.h>

int ranks_begin(struct ranks *ret, struct mg_error *err)
{
	int number, n;

	*ret = (struct ranks){ 0, 1 };
	if (!has_company())
		return 0;
	/* Unless told otherwise, an error ends all ranks and says why. */
	if (MPI_Init(NULL, NULL) != MPI_SUCCESS)
		return mg_error_set(err, -EIO, "Open MPI does not start");
	MPI_Comm_rank(MPI_COMM_WORLD, &number);
	MPI_Comm_size(MPI_COMM_WORLD, &n);
	*ret = (struct ranks){ (unsigned)number, (unsigned)n };
	return 0;
}

bool ranks_agree(const struct ranks *ranks, bool mine)
{
	int in = mine, all = mine;

	if (ranks->n > 1)
		MPI_Allreduce(&in, &all, 1, MPI_INT, MPI_LAND, MPI_COMM_WORLD);
	return all;
}

void ranks_end(struct ranks *ranks)
{
	if (ranks->n > 1)
		MPI_Finalize();
	*ranks = (struct ranks){ 0, 1 };
}

#else

int ranks_begin(struct ranks *ret, struct mg_error *err)
{
	*ret = (struct ranks){ 0, 1 };
	if (has_company())
		return mg_error_set(err, -ENOTSUP,
				    "this edgesim was built without Open MPI: its ranks would "
				    "all do the same; 'run --shard' and 'merge' do without");
	return 0;
}

bool ranks_agree(const struct ranks *ranks, bool mine)
{
	(void)ranks;
	return mine;
}

void ranks_end(struct ranks *ranks)
{
	(void)ranks;
}

#endif
