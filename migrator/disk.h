/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks that move with their VM: each is an overlay (qcow2) in the directory of one incarnation
 * of the VM, made when that starts or arrives and removed along with it, like its RAM file. So no
 * two guests ever write to one disk, and what a move has half filled is gone when it is called off.
 * It may lie on a base, a file of the node's operator that is never written to.
 */
#ifndef MIGRATOR_DISK_H
#define MIGRATOR_DISK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "migrator/launch.h"
#include "migrator/vm_spec.h"

#define DISK_NAME_SIZE 32
#define DISK_SOCKET "disk.sock" /* in the VM's directory: where its QEMU and we meet about disks */

/* Whether it is one of those; else it is a file that its description names. */
bool disk_moves(const Tagalong__Disk *disk);

/* How many of them a VM has. */
size_t disk_count(const VmSpec *spec);

/* Whether the base of a disk can be one: it is there, can be read, is of the format that is said,
 * and lies on no other file. Returns 0 and its size as the guest sees it, or why not:
 * -ENOENT (or another errno of opening it), -EPROTO (the format), -ENOTSUP (it lies on another). */
int disk_base_check(const Tagalong__Disk *disk, uint64_t *ret_size, struct mg_error *err);

/* Gives every disk that moves the size that it will have: as described, else the base's. */
int disk_set_sizes(VmSpec *spec, struct mg_error *err);

/* The name of the i-th disk's overlay in the VM's directory, which is QEMU's working directory. */
const char *disk_overlay_name(size_t i, char buffer[DISK_NAME_SIZE]);

/* Makes the overlays; `user` (NULL: ours) will own them. On failure the caller removes what there
 * is. */
int disk_make_overlays(int directory_fd, const VmSpec *spec, const struct launch_user *user,
		       struct mg_error *err);

/* A socket of that name that only `user` (NULL: ours) can connect to. Returns it, listening, or a
 * negative errno. */
int disk_listen(const char *directory, const char *user);

/* Connects to it. A descriptor or a negative errno. */
int disk_connect(const char *directory);

/* Removes it, if it is there. */
void disk_unlisten(const char *directory);

/* Bytes of the file system that the i-th disk's overlay takes in that directory; 0 when it cannot
 * be told. */
uint64_t disk_used_bytes(const char *directory, size_t i);

/* What is free where that directory is. UINT64_MAX when it cannot be told. */
uint64_t disk_free_bytes(const char *directory);

#endif
