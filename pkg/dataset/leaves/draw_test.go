package leaves
import ("testing";"os";"fmt";"math/rand/v2";"time")
func TestDraw(t *testing.T) {
	dir := os.Getenv("LEAVES_OUT"); if dir=="" { t.Skip() }
	os.MkdirAll(dir,0o777)
	start:=time.Now()
	for i := range 24 {
		im := Image(384,384,rand.New(rand.NewPCG(1,uint64(i))))
		im.SavePNG(fmt.Sprintf("%s/%02d.png",dir,i))
	}
	fmt.Println(time.Since(start))
}
