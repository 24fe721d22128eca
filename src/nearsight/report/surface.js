// Isosurfaces in any cell: naive surface nets (S. F. Gibson, MERL TR99-24, 1999) on a periodic volume.
// One vertex in every grid cell that the surface crosses, at the mean of its edge crossings; one
// quadrilateral around every grid edge that it crosses. Works in fractional coordinates, so that
// skewed cells cost what cubic ones do.

const CORNERS = [0, 1, 2, 3, 4, 5, 6, 7].map((c) => [c & 1, (c >> 1) & 1, (c >> 2) & 1]);
const EDGES = [[0, 1], [2, 3], [4, 5], [6, 7], [0, 2], [1, 3], [4, 6], [5, 7], [0, 4], [1, 5], [2, 6], [3, 7]];

// values: Float32Array in C order; cell: rows in bohr. Returns the mesh3d arrays x, y, z, i, j, k.
function surfaceNet(values, [n1, n2, n3], level, cell) {
  const mesh = { x: [], y: [], z: [], i: [], j: [], k: [] };
  const vertex = new Int32Array(n1 * n2 * n3).fill(-1);
  const at = (a, b, c) => values[((a % n1) * n2 + (b % n2)) * n3 + (c % n3)];
  const corner = new Float64Array(8);
  for (let a = 0; a < n1; a++) for (let b = 0; b < n2; b++) for (let c = 0; c < n3; c++) {
    let inside = 0;
    for (let m = 0; m < 8; m++) {
      const [p, q, r] = CORNERS[m];
      corner[m] = at(a + p, b + q, c + r) - level;
      if (corner[m] > 0) inside++;
    }
    if (inside === 0 || inside === 8) continue;
    const f = crossing(corner);
    const u = (a + f[0]) / n1, v = (b + f[1]) / n2, w = (c + f[2]) / n3;
    vertex[(a * n2 + b) * n3 + c] = mesh.x.length;
    mesh.x.push(u * cell[0][0] + v * cell[1][0] + w * cell[2][0]);
    mesh.y.push(u * cell[0][1] + v * cell[1][1] + w * cell[2][1]);
    mesh.z.push(u * cell[0][2] + v * cell[1][2] + w * cell[2][2]);
  }
  joinVertices(mesh, vertex, at, [n1, n2, n3], level);
  return mesh;
}

function crossing(corner) {
  const sum = [0, 0, 0];
  let count = 0;
  for (const [m, n] of EDGES) {
    if (corner[m] > 0 === corner[n] > 0) continue;
    const t = corner[m] / (corner[m] - corner[n]);
    for (let d = 0; d < 3; d++) sum[d] += CORNERS[m][d] + t * (CORNERS[n][d] - CORNERS[m][d]);
    count++;
  }
  return sum.map((s) => s / count);
}

// Around a crossed edge along one axis lie four cells: it and those one step back along the other two.
function joinVertices(mesh, vertex, at, n, level) {
  const index = (p) => vertex[(p[0] * n[1] + p[1]) * n[2] + p[2]];
  for (let axis = 0; axis < 3; axis++) {
    const s = (axis + 1) % 3, t = (axis + 2) % 3, p = [0, 0, 0];
    for (p[0] = 0; p[0] < n[0]; p[0]++) for (p[1] = 0; p[1] < n[1]; p[1]++) for (p[2] = 0; p[2] < n[2]; p[2]++) {
      if (p[s] === 0 || p[t] === 0) continue;
      const end = [...p];
      end[axis]++;
      const here = at(...p) > level;
      if (here === at(...end) > level) continue;
      const quad = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([ds, dt]) => {
        const q = [...p];
        q[s] -= ds;
        q[t] -= dt;
        return index(q);
      });
      if (here) quad.reverse();
      mesh.i.push(quad[0], quad[0]);
      mesh.j.push(quad[1], quad[2]);
      mesh.k.push(quad[2], quad[3]);
    }
  }
}

// The value above which `share` of the entries lie.
function levelEnclosing(values, share) {
  const sorted = Float32Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor((1 - share) * sorted.length))];
}
