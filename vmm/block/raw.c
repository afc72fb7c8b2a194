/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "vmm/block/block.h"

/*
 * A regular file or block device whose bytes are the disk's bytes.
 *
 * The image is locked as a whole with an open-file-description lock, so that neither another VM nor this process
 * opens it for writing twice. Its size is taken once; a file that shrinks afterwards gives I/O errors for what is
 * gone. A size that is not whole sectors is refused: rounding down would hide the image's last bytes from the guest,
 * rounding up would let the guest write a different image than the one it was given.
 *
 * What the host's file system cannot do is learnt at the first try and not tried again.
 */
#define SECTOR 512u
#define ZEROES_STEP (1u << 16)

struct raw_node {
	struct block_node node;
	int fd;
	bool no_punch, no_zero_range; /* I/O thread */
};

static struct raw_node *raw_of(struct block_node *node)
{
	return (struct raw_node *)(void *)node;
}

/*
 * One system call moved n bytes or failed: drops them from the front of the list. In *skip: bytes of iov[0] that are
 * done.
 */
static int advance(ssize_t n, uint64_t *offset, const struct iovec **iov, int *count, size_t *skip)
{
	size_t moved = (size_t)n;

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -EIO;
	*offset += moved;
	moved += *skip;
	while (*count && moved >= (*iov)->iov_len) {
		moved -= (*iov)->iov_len;
		++*iov;
		--*count;
	}
	*skip = moved;
	return 0;
}

typedef ssize_t (*vector_fn)(int fd, const struct iovec *iov, int n, off_t offset);

/*
 * The kernel may move less than asked for; then the rest of a range that was cut goes alone, so that the list need
 * not be copied.
 */
static int transfer(struct raw_node *raw, vector_fn fn, uint64_t offset, const struct iovec *iov, int count)
{
	int result = block_check_iov(&raw->node, offset, iov, count);
	size_t skip = 0;

	while (count && iov->iov_len == 0) {
		iov++;
		count--;
	}
	while (result == 0 && count) {
		struct iovec cut = { .iov_base = (uint8_t *)iov->iov_base + skip, .iov_len = iov->iov_len - skip };
		ssize_t n = skip ? fn(raw->fd, &cut, 1, (off_t)offset) :
				   fn(raw->fd, iov, MIN(count, IOV_MAX), (off_t)offset);

		result = advance(n, &offset, &iov, &count, &skip);
	}
	return result;
}

static int raw_readv(struct block_node *node, uint64_t offset, const struct iovec *iov, int n)
{
	return transfer(raw_of(node), preadv, offset, iov, n);
}

static int raw_writev(struct block_node *node, uint64_t offset, const struct iovec *iov, int n)
{
	return node->readonly ? -EROFS : transfer(raw_of(node), pwritev, offset, iov, n);
}

static int raw_flush(struct block_node *node)
{
	while (!node->readonly && fdatasync(raw_of(node)->fd) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* *never is set when the host cannot do this at all. */
static int try_fallocate(struct raw_node *raw, int mode, uint64_t offset, uint64_t len, bool *never)
{
	int result;

	if (*never)
		return -EOPNOTSUPP;
	do
		result = fallocate(raw->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len);
	while (result < 0 && errno == EINTR);
	if (result == 0)
		return 0;
	if (errno == EOPNOTSUPP || errno == ENOSYS || errno == ENODEV || errno == EINVAL) {
		*never = errno != EINVAL;
		return -EOPNOTSUPP;
	}
	return -errno;
}

static int raw_discard(struct block_node *node, uint64_t offset, uint64_t len)
{
	struct raw_node *raw = raw_of(node);
	int result = node->readonly ? -EROFS : block_check_range(node, offset, len);

	if (result < 0 || len == 0)
		return result;
	result = try_fallocate(raw, FALLOC_FL_PUNCH_HOLE, offset, len, &raw->no_punch);
	/* A discard is a hint: keeping the data is allowed. */
	return result == -EOPNOTSUPP ? 0 : result;
}

static int write_zero_bytes(struct raw_node *raw, uint64_t offset, uint64_t len)
{
	g_autofree uint8_t *zeroes = g_try_malloc0(ZEROES_STEP);
	int result = 0;

	if (!zeroes)
		return -ENOMEM;
	while (len && result == 0) {
		struct iovec iov = { .iov_base = zeroes, .iov_len = MIN(len, ZEROES_STEP) };

		result = transfer(raw, pwritev, offset, &iov, 1);
		offset += iov.iov_len;
		len -= iov.iov_len;
	}
	return result;
}

static int raw_write_zeroes(struct block_node *node, uint64_t offset, uint64_t len, bool may_unmap)
{
	struct raw_node *raw = raw_of(node);
	int result = node->readonly ? -EROFS : block_check_range(node, offset, len);

	if (result < 0 || len == 0)
		return result;
	result = -EOPNOTSUPP;
	if (may_unmap)
		result = try_fallocate(raw, FALLOC_FL_PUNCH_HOLE, offset, len, &raw->no_punch);
	if (result == -EOPNOTSUPP)
		result = try_fallocate(raw, FALLOC_FL_ZERO_RANGE, offset, len, &raw->no_zero_range);
	if (result == -EOPNOTSUPP)
		result = write_zero_bytes(raw, offset, len);
	return result;
}

static void raw_close(struct block_node *node)
{
	struct raw_node *raw = raw_of(node);

	fd_close(&raw->fd);
	g_free(node->name);
	g_free(raw);
}

static const struct block_class raw_class = {
	.name = "raw",
	.readv = raw_readv,
	.writev = raw_writev,
	.flush = raw_flush,
	.discard = raw_discard,
	.write_zeroes = raw_write_zeroes,
	.close = raw_close,
};

/* --- opening --- */

static bool lock_image(int fd, const char *path, bool readonly, GError **err)
{
	struct flock lock = { .l_type = readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return true;
	if (errno == EAGAIN || errno == EACCES)
		return fail(err, LODGE_ERROR_STATE, "%s: already in use%s", path, readonly ? " for writing" : "");
	return fail_errno(err, "%s: cannot lock it", path);
}

static bool measure_device(int fd, struct block_node *node, GError **err)
{
	int block_size;

	if (ioctl(fd, BLKGETSIZE64, &node->size) < 0 || ioctl(fd, BLKSSZGET, &block_size) < 0)
		return fail_errno(err, "%s: cannot read the size of the block device", node->name);
	if (block_size < (int)SECTOR || block_size > 65536 || (block_size & (block_size - 1)))
		return fail(err, LODGE_ERROR_UNSUPPORTED, "%s: block size of %d bytes", node->name, block_size);
	node->block_size = (uint32_t)block_size;
	return true;
}

static bool measure(int fd, struct block_node *node, GError **err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail_errno(err, "%s", node->name);
	if (S_ISBLK(st.st_mode)) {
		if (!measure_device(fd, node, err))
			return false;
	} else if (S_ISREG(st.st_mode)) {
		node->size = (uint64_t)st.st_size;
		node->block_size = SECTOR;
	} else {
		return fail(err, LODGE_ERROR_INPUT, "%s: neither a regular file nor a block device", node->name);
	}
	if (node->size == 0)
		return fail(err, LODGE_ERROR_INPUT, "%s: empty, a disk image needs at least %u bytes", node->name,
			    SECTOR);
	if (node->size % node->block_size)
		return fail(err, LODGE_ERROR_INPUT,
			    "%s: %" G_GUINT64_FORMAT
			    " bytes are not a multiple of %u; 'truncate -s %%%u FILE' rounds it up",
			    node->name, node->size, node->block_size, node->block_size);
	return true;
}

struct block_node *block_open_raw(const char *path, bool readonly, GError **err)
{
	autoptr(block_node) node = NULL;
	struct raw_node *raw = g_new0(struct raw_node, 1);

	node = &raw->node;
	node->class = &raw_class;
	node->name = g_strdup(path);
	node->readonly = readonly;
	node->can_discard = !readonly;
	/*
	 * Without O_NONBLOCK a FIFO by mistake would wait here for its other end; it changes nothing for files and
	 * disks.
	 */
	raw->fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (raw->fd < 0 && errno == EISDIR)
		return fail_null(err, LODGE_ERROR_INPUT, "%s: is a directory, not a disk image", path);
	if (raw->fd < 0)
		return fail_errno_null(err, "%s", path);
	if (!measure(raw->fd, node, err) || !lock_image(raw->fd, path, readonly, err))
		return NULL;
	return g_steal_pointer(&node);
}
