package bwe

const (
	// grain is the time over which the least delay is taken: a frame interval and a bit, so that the first packet of a
	// frame, which met no queue of its own frame, is in each.
	grain = 40_000 // microseconds
	// grains kept make 480 ms, over which the trend is taken.
	grains = 12
	// standing is over how many grains the least delay is the standing queue: what does not go away for 200 ms is no
	// burst.
	standing = 5
	// sharp is over how many grains twice the delay that is too much is believed at once: a link that falls to an eighth
	// makes a queue of 300 ms in no time, and is not waited for.
	sharp = 2
	// epoch is how long a least delay of the path holds at least; routes change, and clocks drift by 100 ppm, 3 ms in
	// two of these.
	epoch = 15_000_000
	// never is more than any delay.
	never = int64(1) << 62
)

// delayWindow follows the one-way delay, whose zero is unknown as clocks differ: only what it is above its least counts.
type delayWindow struct {
	least [grains]int64 // of each grain, by arrival; never: no packet
	head  int64         // number of the newest grain

	base, baseWas int64 // least of this epoch and of the last
	baseAt        int64

	queue  float64 // standing delay above base, microseconds
	recent float64 // least delay of the last moment above base
	trend  float64 // change of delay per time
	steep  bool    // what comes is held up by about as long as it took to come: a link that is far too thin

	noise float64 // delay that proved to be no queue, microseconds
	peak  float64 // of the rise that goes on
	at    int64
}

// reset begins with a path that nothing is known of.
func (d *delayWindow) reset() {
	*d = delayWindow{base: never, baseWas: never}
	d.forget()
}

// forget drops what was seen lately, and keeps what is known of the path.
func (d *delayWindow) forget() {
	for i := range d.least {
		d.least[i] = never
	}
	d.queue, d.recent, d.trend, d.peak = 0, 0, 0, 0
}

// rebase takes the delay as it is for the path's own.
func (d *delayWindow) rebase() {
	d.base, d.baseWas = d.floor()+int64(d.queue), never
	d.queue, d.recent, d.peak = 0, 0, 0
}

// add takes one packet's delay.
func (d *delayWindow) add(arrival, delay int64) {
	n := arrival / grain
	if n > d.head {
		for i := max(d.head+1, n-grains+1); i <= n; i++ {
			d.least[i%grains] = never
		}
		d.head = n
	}
	if n > d.head-grains {
		d.least[n%grains] = min(d.least[n%grains], delay)
	}
	if arrival-d.baseAt > epoch {
		d.baseWas, d.base, d.baseAt = d.base, never, arrival
	}
	d.base = min(d.base, delay)
}

// floor is the path's own delay.
func (d *delayWindow) floor() int64 { return min(d.base, d.baseWas) }

// settle works out queue and trend after a report, and reports whether the delay is at the top of a rise.
func (d *delayWindow) settle(now int64) (top bool) {
	floor, low, high, found := d.floor(), never, d.floor(), 0
	var n, sx, sy, sxx, sxy float64
	for i := range int64(grains) {
		at := d.head - i
		if at < 0 || d.least[at%grains] == never {
			continue
		}
		v := d.least[at%grains]
		if i < standing || found < 2 {
			low = min(low, v)
			found++
		}
		if i < sharp {
			high = low // of the newest two
		}
		x, y := -float64(i*grain), float64(v-floor)
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	if found == 0 {
		return false
	}
	d.queue, d.recent, d.trend = float64(low-floor), float64(high-floor), 0
	if n >= 4 {
		d.trend = (n*sxy - sx*sy) / (n*sxx - sx*sx)
	}
	d.steep = d.climb() > steepest
	if d.queue > jump {
		d.rebase()
	}
	return d.learn(now)
}

// climb is how much the delay rose per time over the newest grains.
func (d *delayWindow) climb() float64 {
	newest, ages := never, int64(0)
	for i := range int64(standing) {
		at := d.head - i
		if at < 0 || d.least[at%grains] == never {
			continue
		}
		if newest == never {
			newest, ages = d.least[at%grains], i
			continue
		}
		oldest := d.least[at%grains]
		if i-ages >= standing-2 {
			return float64(oldest-newest) / float64((ages-i)*grain)
		}
	}
	return 0
}

// steepest is the rise per time that a wandering path has at most; a link that falls below two thirds of what is sent
// exceeds it.
const steepest = 0.4

// jump is more than any queue: the receiver's clock was set.
const jump = 10_000_000

const (
	// calmQueue is as good as empty; a rise begins above highQueue.
	calmQueue, highQueue = 8_000, 15_000
	// maxNoise bounds what noise may excuse: sound does not bear more.
	maxNoise = 90_000
	// noiseLife is the time in which noise is forgotten by two thirds: a path's ways last longer than its troubles.
	noiseLife = 120_000_000
)

// learn follows the rises of the delay, and reports whether this is the highest point of one so far.
func (d *delayWindow) learn(now int64) (top bool) {
	if dt := float64(now - d.at); d.at != 0 && dt > 0 {
		d.noise *= 1 - min(1, dt/noiseLife)
	}
	d.at = now
	q := max(d.queue, d.recent/2)
	if q < highQueue {
		return false
	}
	top = q > d.peak
	d.peak = max(d.peak, q)
	return top
}

// excuse takes the last rise for noise: delay as high as that proves nothing.
func (d *delayWindow) excuse() { d.noise = max(d.noise, min(d.peak, maxNoise)) }
