/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console/chardev.h"
#include "core/base/error.h"
#include "vmm/bus.h"
#include "vmm/dev/devices.h"

/*
 * A PC16550D (its data sheet, section 8) on a wire that is infinitely fast: a character that is written is gone at
 * once, so the transmitter is always empty, and the receive time-out follows the last character of a burst without
 * delay. Everything the interrupt identification says is computed from the registers, except that the transmitter's
 * interrupt is an event: it is raised by a written character and by switching it on, and taken away by being
 * identified.
 *
 * Input comes from the chardev on the loop thread, as much as the FIFO has room for; the rest is asked for when the
 * guest has emptied it. So only loopback can overrun the receiver.
 *
 * The interrupt leaves the chip through OUT2, as on a PC's board.
 */

#define UART_LEN 8u
#define FIFO_SIZE 16u

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_RDI 0x01u
#define IER_THRI 0x02u
#define IER_RLSI 0x04u
#define IER_MSI 0x08u
#define IER_MASK 0x0fu

#define IIR_MSI 0x00u
#define IIR_NONE 0x01u
#define IIR_THRI 0x02u
#define IIR_RDI 0x04u
#define IIR_RLSI 0x06u
#define IIR_TIMEOUT 0x0cu
#define IIR_FIFO 0xc0u

#define FCR_ENABLE 0x01u
#define FCR_CLEAR_RX 0x02u
#define FCR_TRIGGER_SHIFT 6
#define FCR_KEPT 0xc9u

#define LCR_DLAB 0x80u

#define MCR_DTR 0x01u
#define MCR_RTS 0x02u
#define MCR_OUT1 0x04u
#define MCR_OUT2 0x08u
#define MCR_LOOP 0x10u
#define MCR_MASK 0x1fu

#define LSR_DR 0x01u
#define LSR_OE 0x02u
#define LSR_BI 0x10u
#define LSR_THRE 0x20u
#define LSR_TEMT 0x40u
#define LSR_FIFO_ERROR 0x80u

#define MSR_CTS 0x10u
#define MSR_DSR 0x20u
#define MSR_RI 0x40u
#define MSR_DCD 0x80u
#define MSR_DELTA_SHIFT 4
#define MSR_DELTAS 0x0fu

struct uart {
	struct device dev;
	struct irq irq;
	struct chardev *chardev; /* may be NULL */

	uint8_t divisor[2];
	uint8_t ier, fcr, lcr, mcr, scr;
	uint8_t msr;		 /* lines in the high half, what has changed in the low */
	bool overrun, thr_event; /* LSR_OE; the transmitter's interrupt */
	uint8_t rx[FIFO_SIZE];
	bool rx_break[FIFO_SIZE]; /* that character is a break */
	uint8_t rx_head, rx_count;
	bool irq_level;
};

static const uint8_t trigger_levels[] = { 1, 4, 8, 14 };

static unsigned rx_capacity(const struct uart *uart)
{
	return uart->fcr & FCR_ENABLE ? FIFO_SIZE : 1;
}

static bool rx_head_is_break(const struct uart *uart)
{
	return uart->rx_count && uart->rx_break[uart->rx_head];
}

/* Interrupt sources by priority: data sheet table IV. */
static uint8_t interrupt_id(const struct uart *uart)
{
	if (uart->ier & IER_RLSI && (uart->overrun || rx_head_is_break(uart)))
		return IIR_RLSI;
	if (uart->ier & IER_RDI && uart->rx_count) {
		if (!(uart->fcr & FCR_ENABLE) || uart->rx_count >= trigger_levels[uart->fcr >> FCR_TRIGGER_SHIFT])
			return IIR_RDI;
		return IIR_TIMEOUT;
	}
	if (uart->ier & IER_THRI && uart->thr_event)
		return IIR_THRI;
	if (uart->ier & IER_MSI && uart->msr & MSR_DELTAS)
		return IIR_MSI;
	return IIR_NONE;
}

static void update_irq(struct uart *uart)
{
	bool level = uart->mcr & MCR_OUT2 && interrupt_id(uart) != IIR_NONE;

	if (level == uart->irq_level)
		return;
	uart->irq_level = level;
	irq_set(&uart->irq, level);
}

/* Room for input: the loop thread will offer it again. */
static void ask_for_input(struct uart *uart)
{
	if (uart->chardev)
		chardev_accept_input(uart->chardev);
}

static void rx_clear(struct uart *uart)
{
	uart->rx_head = 0;
	uart->rx_count = 0;
	ask_for_input(uart);
}

/*
 * A full FIFO keeps what it has and loses the newcomer; a lone receive buffer is overwritten (data sheet section
 * 8.6.3).
 */
static void rx_push(struct uart *uart, uint8_t byte, bool is_break)
{
	unsigned slot;

	if (uart->rx_count == rx_capacity(uart)) {
		uart->overrun = true;
		if (uart->fcr & FCR_ENABLE)
			return;
		uart->rx_count = 0;
	}
	slot = (uart->rx_head + uart->rx_count) % FIFO_SIZE;
	uart->rx[slot] = byte;
	uart->rx_break[slot] = is_break;
	uart->rx_count++;
}

static uint8_t rx_pop(struct uart *uart)
{
	uint8_t byte = uart->rx[uart->rx_head];

	if (!uart->rx_count)
		return byte;
	/* A lone receive buffer goes on showing its last character. */
	if (uart->fcr & FCR_ENABLE)
		uart->rx_head = (uart->rx_head + 1) % FIFO_SIZE;
	uart->rx_count--;
	if (!uart->rx_count)
		ask_for_input(uart);
	return byte;
}

static void tx_push(struct uart *uart, uint8_t byte)
{
	if (uart->mcr & MCR_LOOP)
		rx_push(uart, byte, false);
	else if (uart->chardev)
		chardev_write(uart->chardev, &byte, 1);
	uart->thr_event = true;
}

/* The modem lines in: always connected, or the outputs in loopback (data sheet section 8.7). */
static uint8_t modem_lines(const struct uart *uart)
{
	if (!(uart->mcr & MCR_LOOP))
		return MSR_DCD | MSR_DSR | MSR_CTS;
	return (uart->mcr & MCR_RTS ? MSR_CTS : 0) | (uart->mcr & MCR_DTR ? MSR_DSR : 0) |
	       (uart->mcr & MCR_OUT1 ? MSR_RI : 0) | (uart->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void update_modem(struct uart *uart)
{
	uint8_t lines = modem_lines(uart);
	uint8_t changed = (lines ^ uart->msr) & ~MSR_DELTAS;

	/* The ring indicator counts only when it goes away. */
	if (lines & MSR_RI)
		changed &= ~MSR_RI;
	uart->msr = lines | (uart->msr & MSR_DELTAS) | changed >> MSR_DELTA_SHIFT;
}

static bool any_break(const struct uart *uart)
{
	for (unsigned i = 0; i < uart->rx_count; i++)
		if (uart->rx_break[(uart->rx_head + i) % FIFO_SIZE])
			return true;
	return false;
}

/* Reading forgives: the overrun, and the break of the character at the head. */
static uint8_t read_lsr(struct uart *uart)
{
	uint8_t lsr = LSR_THRE | LSR_TEMT;

	if (uart->rx_count)
		lsr |= LSR_DR;
	if (uart->overrun)
		lsr |= LSR_OE;
	if (rx_head_is_break(uart))
		lsr |= LSR_BI;
	if (uart->fcr & FCR_ENABLE && any_break(uart))
		lsr |= LSR_FIFO_ERROR;
	uart->overrun = false;
	if (uart->rx_count)
		uart->rx_break[uart->rx_head] = false;
	return lsr;
}

static uint8_t read_iir(struct uart *uart)
{
	uint8_t id = interrupt_id(uart);

	if (id == IIR_THRI)
		uart->thr_event = false;
	return id | (uart->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_msr(struct uart *uart)
{
	uint8_t msr = uart->msr;

	uart->msr &= ~MSR_DELTAS;
	return msr;
}

static uint8_t read_register(struct uart *uart, unsigned reg)
{
	if (uart->lcr & LCR_DLAB && reg <= REG_IER)
		return uart->divisor[reg];
	switch (reg) {
	case REG_DATA:
		return rx_pop(uart);
	case REG_IER:
		return uart->ier;
	case REG_IIR_FCR:
		return read_iir(uart);
	case REG_LCR:
		return uart->lcr;
	case REG_MCR:
		return uart->mcr;
	case REG_LSR:
		return read_lsr(uart);
	case REG_MSR:
		return read_msr(uart);
	default:
		return uart->scr;
	}
}

static void write_ier(struct uart *uart, uint8_t val)
{
	/* The transmitter is empty: whoever switches its interrupt on gets it. */
	if (val & ~uart->ier & IER_THRI)
		uart->thr_event = true;
	uart->ier = val & IER_MASK;
}

/* Without the enable bit the others do not count; changing it empties the FIFOs (data sheet section 8.4). */
static void write_fcr(struct uart *uart, uint8_t val)
{
	bool switched = (val ^ uart->fcr) & FCR_ENABLE;

	uart->fcr = val & FCR_ENABLE ? val & FCR_KEPT : 0;
	if (switched || (val & FCR_ENABLE && val & FCR_CLEAR_RX))
		rx_clear(uart);
}

static void write_mcr(struct uart *uart, uint8_t val)
{
	bool left_loop = uart->mcr & ~val & MCR_LOOP;

	uart->mcr = val & MCR_MASK;
	update_modem(uart);
	if (left_loop)
		ask_for_input(uart);
}

static void write_register(struct uart *uart, unsigned reg, uint8_t val)
{
	if (uart->lcr & LCR_DLAB && reg <= REG_IER) {
		uart->divisor[reg] = val;
		return;
	}
	switch (reg) {
	case REG_DATA:
		tx_push(uart, val);
		break;
	case REG_IER:
		write_ier(uart, val);
		break;
	case REG_IIR_FCR:
		write_fcr(uart, val);
		break;
	case REG_LCR:
		uart->lcr = val;
		break;
	case REG_MCR:
		write_mcr(uart, val);
		break;
	case REG_SCR:
		uart->scr = val;
		break;
	default: /* LSR and MSR: only a factory writes them */
		break;
	}
}

static uint64_t uart_read(void *opaque, uint64_t off, G_GNUC_UNUSED unsigned size)
{
	struct uart *uart = opaque;
	uint8_t val = read_register(uart, (unsigned)off);

	update_irq(uart);
	return val;
}

static void uart_write(void *opaque, uint64_t off, uint64_t val, G_GNUC_UNUSED unsigned size)
{
	struct uart *uart = opaque;

	write_register(uart, (unsigned)off, (uint8_t)val);
	update_irq(uart);
}

static const struct bus_ops uart_ops = { .read = uart_read, .write = uart_write, .max_size = 1 };

static size_t uart_receive(void *opaque, const uint8_t *data, size_t len)
{
	struct uart *uart = opaque;
	size_t taken = 0;

	g_mutex_lock(&uart->dev.lock);
	if (!(uart->mcr & MCR_LOOP))
		while (taken < len && uart->rx_count < rx_capacity(uart))
			rx_push(uart, data[taken++], false);
	update_irq(uart);
	g_mutex_unlock(&uart->dev.lock);
	return taken;
}

static void uart_break(void *opaque)
{
	struct uart *uart = opaque;

	g_mutex_lock(&uart->dev.lock);
	if (!(uart->mcr & MCR_LOOP))
		rx_push(uart, 0, true);
	update_irq(uart);
	g_mutex_unlock(&uart->dev.lock);
}

static const struct chardev_client uart_client = { .receive = uart_receive, .send_break = uart_break };

static void uart_reset(struct device *dev)
{
	struct uart *uart = (struct uart *)dev;

	uart->divisor[0] = 12; /* 9600 baud; the chip leaves it undefined */
	uart->divisor[1] = 0;
	uart->ier = 0;
	uart->fcr = 0;
	uart->lcr = 0;
	uart->mcr = 0;
	uart->scr = 0;
	uart->msr = modem_lines(uart);
	uart->overrun = false;
	uart->thr_event = false;
	rx_clear(uart);
	update_irq(uart);
}

static bool uart_post_load(struct device *dev, GError **err)
{
	struct uart *uart = (struct uart *)dev;

	if (uart->rx_head >= FIFO_SIZE || uart->rx_count > rx_capacity(uart) || uart->ier & ~IER_MASK ||
	    uart->mcr & ~MCR_MASK || uart->fcr & ~FCR_KEPT)
		return fail(err, LODGE_ERROR_INPUT, "saved state of %s: impossible register values", dev->id);
	uart->irq_level = uart->mcr & MCR_OUT2 && interrupt_id(uart) != IIR_NONE;
	irq_set(&uart->irq, uart->irq_level);
	ask_for_input(uart);
	return true;
}

static void uart_destroy(struct device *dev)
{
	struct uart *uart = (struct uart *)dev;

	if (uart->chardev)
		chardev_set_client(uart->chardev, NULL, NULL);
	device_fini(dev);
	g_free(uart);
}

static const struct device_field uart_fields[] = {
	DEVICE_FIELD_ARRAY(U8, uart, divisor),
	DEVICE_FIELD(U8, uart, ier),
	DEVICE_FIELD(U8, uart, fcr),
	DEVICE_FIELD(U8, uart, lcr),
	DEVICE_FIELD(U8, uart, mcr),
	DEVICE_FIELD(U8, uart, scr),
	DEVICE_FIELD(U8, uart, msr),
	DEVICE_FIELD(BOOL, uart, overrun),
	DEVICE_FIELD(BOOL, uart, thr_event),
	DEVICE_FIELD_ARRAY(U8, uart, rx),
	DEVICE_FIELD_ARRAY(BOOL, uart, rx_break),
	DEVICE_FIELD(U8, uart, rx_head),
	DEVICE_FIELD(U8, uart, rx_count),
};

static const struct device_class uart_class = {
	.name = "uart",
	.version = 1,
	.fields = uart_fields,
	.n_fields = G_N_ELEMENTS(uart_fields),
	.reset = uart_reset,
	.post_load = uart_post_load,
	.destroy = uart_destroy,
};

struct uart *uart_new(struct vm *vm, struct bus *pio, uint16_t base, const struct irq *irq, struct chardev *chardev,
		      const char *id)
{
	struct uart *uart = g_new0(struct uart, 1);

	device_init(&uart->dev, &uart_class, vm, id);
	uart->irq = *irq;
	uart->chardev = chardev;
	device_reset(&uart->dev);
	bus_add(pio, "uart", base, UART_LEN, true, &uart_ops, uart, &uart->dev.lock);
	if (chardev)
		chardev_set_client(chardev, &uart_client, uart);
	return uart;
}

struct device *uart_device(struct uart *uart)
{
	return &uart->dev;
}
