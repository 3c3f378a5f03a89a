package leaves
import ("testing";"os";"fmt";"math/rand/v2";"time")
func TestDraw(t *testing.T) {
	dir := os.Getenv("LEAVES_OUT"); if dir=="" { t.Skip() }
	os.MkdirAll(dir,0o777)
	start:=time.Now()
	n:=24; S:=uint64(1); if os.Getenv("S")!="" { fmt.Sscan(os.Getenv("S"),&S) }; if os.Getenv("N")!="" { fmt.Sscan(os.Getenv("N"),&n) }; for i := range n {
		im := Image(384,384,rand.New(rand.NewPCG(S,uint64(i))))
		im.SavePNG(fmt.Sprintf("%s/%03d.png",dir,i))
	}
	fmt.Println(time.Since(start))
}
