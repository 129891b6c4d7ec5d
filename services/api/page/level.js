/** A level meter: how loud the last seconds were, drawn as bars that run to the left. */

const BAR = 4;
const GAP = 3;
const EVERY_MS = 60;
/** Quieter than this, for long, is a dead microphone. */
const SILENCE = 0.004;

export class LevelMeter {
  #levels = [];
  #heardAt = performance.now();

  constructor(canvas, stream) {
    this.canvas = canvas;
    this.audio = new AudioContext();
    // Safari starts it asleep.
    this.audio.resume();
    this.analyser = this.audio.createAnalyser();
    this.analyser.fftSize = 1024;
    this.audio.createMediaStreamSource(stream).connect(this.analyser);
    this.samples = new Float32Array(this.analyser.fftSize);
    this.timer = setInterval(() => this.#measure(), EVERY_MS);
  }

  /** Seconds since the microphone last gave a sound. */
  get silentFor() {
    return (performance.now() - this.#heardAt) / 1000;
  }

  stop() {
    clearInterval(this.timer);
    this.audio.close();
  }

  #measure() {
    this.analyser.getFloatTimeDomainData(this.samples);
    const power = this.samples.reduce((sum, x) => sum + x * x, 0) / this.samples.length;
    const rms = Math.sqrt(power);
    if (rms > SILENCE) this.#heardAt = performance.now();
    // Loudness is heard in decibels: -60 dB is nothing, -10 dB is full.
    const level = Math.min(1, Math.max(0, (20 * Math.log10(rms + 1e-6) + 60) / 50));
    this.#levels.push(level);
    this.#draw();
  }

  #draw() {
    const { canvas } = this;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== width * ratio) {
      canvas.width = width * ratio;
      canvas.height = height * ratio;
    }
    const paint = canvas.getContext("2d");
    paint.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint.clearRect(0, 0, width, height);
    paint.fillStyle = getComputedStyle(canvas).color;
    const n = Math.floor(width / (BAR + GAP));
    this.#levels = this.#levels.slice(-n);
    this.#levels.forEach((level, i) => {
      const tall = Math.max(BAR, level * height);
      const x = width - (this.#levels.length - i) * (BAR + GAP);
      paint.globalAlpha = 0.25 + (0.75 * (n - this.#levels.length + i)) / n;
      paint.beginPath();
      paint.roundRect(x, (height - tall) / 2, BAR, tall, BAR / 2);
      paint.fill();
    });
  }
}
